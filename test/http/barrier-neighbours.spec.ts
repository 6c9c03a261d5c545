import { createRequire } from 'node:module';
import type { ServerResponse } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { Controller, type INestApplication, Sse } from '@nestjs/common';
import compression from 'compression';
import { Session } from 'nest-session';
import { from, Observable } from 'rxjs';
import { failing, gate, keyOfCookie, once as onceTheStore } from '../support/laws.js';
import { turns } from '../support/process-trouble.js';
import { type AnySession, makeStage } from '../support/stage.js';
import { startOn, type TransportApp } from '../support/transports.js';

/** The barrier among others that replace the methods of a response, and server-sent events. */
const onHeaders = createRequire(import.meta.url)('on-headers') as (
  response: ServerResponse,
  listener: (this: ServerResponse) => void,
) => void;

const stage = makeStage();

@Controller()
class Events {
  @Sse('events')
  events(@Session() session: AnySession): Observable<{ data: string }> {
    const isNew = session.isNew;
    session.set('seen', true);
    return from([isNew ? 'new' : 'known', 'second', 'third'].map((data) => ({ data })));
  }
}

type Middleware = (request: { session?: AnySession }, response: ServerResponse, next: () => void) => void;

/** A middleware of Node on either platform. */
const use = (app: INestApplication, middleware: Middleware) => app.use(middleware);

async function start(
  transport: 'Express over HTTP/1.1' | 'Fastify over HTTP/1.1',
  ...middleware: Middleware[]
) {
  return startOn(transport, {
    controllers: [stage.controller, Events],
    setUp: (app) => middleware.forEach((each) => use(app, each)),
  });
}

/** Loads the session, and so puts the barrier in place, before the middleware that follow. */
const loadSession: Middleware = (request, _, next) => {
  if (!request.session) return next();
  request.session.load().then(
    () => next(),
    () => next(),
  );
};

const timesTheAnswer: Middleware = (_, response, next) => {
  onHeaders(response, function () {
    this.setHeader('X-Response-Time', '1');
    this.appendHeader('Vary', 'X-Timed');
    this.appendHeader('Set-Cookie', 'timed=1');
  });
  next();
};

const wrapsEnd: Middleware = (_, response, next) => {
  const end = response.end as (...args: unknown[]) => ServerResponse;
  response.end = function (this: ServerResponse, ...args: unknown[]) {
    if (!this.headersSent) this.setHeader('X-Wrapped', 'end');
    return end.apply(this, args);
  } as never;
  next();
};

const compresses = compression({ threshold: 0 }) as unknown as Middleware;

/** compression moves listeners of 'drain' to its own stream, from where `once()` never takes its 'error' one away. */
const drained = (response: ServerResponse) => new Promise<void>((resolve) => response.once('drain', resolve));

const LONG = 'long enough to be worth it, '.repeat(10_000);

describe.each([
  ['before the first use of the session', [timesTheAnswer, wrapsEnd, compresses]],
  ['after the first use of the session', [loadSession, timesTheAnswer, wrapsEnd, compresses]],
] as [string, Middleware[]][])(
  'compression, on-headers and a wrapper of end(), installed %s',
  (_, middleware) => {
    let app: TransportApp;
    beforeAll(async () => {
      app = await start('Express over HTTP/1.1', ...middleware);
    });
    afterAll(() => app.close());

    async function ask(path = '/raw') {
      const headers = { 'accept-encoding': 'gzip' };
      const request = httpRequest({ port: app.port, path, headers, agent: false }).end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      const body = Buffer.concat((await response.toArray()) as Buffer[]);
      const isZipped = response.headers['content-encoding'] === 'gzip';
      return {
        status: response.statusCode,
        headers: response.headers,
        text: isZipped ? gunzipSync(body).toString() : body.toString(),
        isZipped,
        cookies: (response.headers['set-cookie'] ?? []).map((each) => each.split('=')[0]).sort(),
      };
    }

    it.each(['write', 'read'])('all work together when the session is %s', async (what) => {
      stage.play = ({ session, response }) => {
        if (what === 'write') session.set('a', 1);
        else session.get('a');
        response.setHeader('Content-Type', 'text/plain');
        response.end(LONG);
      };
      const answer = await ask();

      expect(answer).toMatchObject({ status: 200, isZipped: true, text: LONG });
      expect(answer.headers).toMatchObject({ 'x-response-time': '1' });
      expect(answer.headers.vary?.split(/, */).sort()).toEqual(['Accept-Encoding', 'Cookie', 'X-Timed']);
      expect(answer.cookies).toEqual(what === 'write' ? ['sessionid', 'timed'] : ['timed']);
    });

    it('an answer in several pieces waits for a slow save and arrives whole', async () => {
      stage.play = async ({ session, response }) => {
        session.set('a', 1);
        response.setHeader('Content-Type', 'text/plain');
        for (let i = 0; i < 8; i++) if (!response.write(LONG)) await drained(response);
        response.end('the end');
      };
      const save = gate(app.store, 'create');
      const answering = ask();
      await save.reached;
      await turns();
      save.open();
      const answer = await answering;

      expect(answer).toMatchObject({ status: 200, isZipped: true });
      expect(answer.text).toBe(LONG.repeat(8) + 'the end');
      expect(answer.cookies).toEqual(['sessionid', 'timed']);
    });

    it('pieces written at once arrive whole', async () => {
      stage.play = ({ session, response }) => {
        session.set('a', 1);
        response.setHeader('Content-Type', 'text/plain');
        response.write('one ');
        response.write('two ');
        response.end('three');
      };

      expect(await ask()).toMatchObject({ status: 200, text: 'one two three' });
    });

    it('a failed save is a 503 that can be read', async () => {
      stage.play = ({ session, response }) => {
        session.set('a', 1);
        response.setHeader('Content-Type', 'text/plain');
        response.write(LONG);
        response.end(LONG);
      };
      onceTheStore(app.store, 'create', failing);
      const answer = await ask();

      expect(answer.status).toBe(503);
      expect(JSON.parse(answer.text)).toMatchObject({ statusCode: 503 });
      expect(answer.cookies).not.toContain('sessionid');
    });
  },
);

describe.each(['Express over HTTP/1.1', 'Fastify over HTTP/1.1'] as const)('On %s', (transport) => {
  let app: TransportApp;
  beforeAll(async () => {
    app = await start(transport);
  });
  afterAll(() => app.close());

  it('a listener of on-headers sees the answer once, whoever came first', async () => {
    const seen: string[] = [];
    stage.play = ({ session, response }) => {
      onHeaders(response, function () {
        seen.push(String(this.statusCode));
        this.setHeader('X-Seen', 'yes');
      });
      session.set('a', 1);
      response.end('body');
    };
    const answer = await app.send('/raw');

    expect(answer.values('x-seen')).toEqual(['yes']);
    expect(seen).toEqual(['200']);
  });

  describe('server-sent events', () => {
    const eventsOf = (body: string) => [...body.matchAll(/^data: (.*)$/gm)].map(([, data]) => data);

    it('begin after the save, and keep their order', async () => {
      const save = gate(app.store, 'create');
      let hasAnswered = false;
      const answering = app.send('/events').finally(() => (hasAnswered = true));
      await save.reached;
      await turns();
      expect(hasAnswered).toBe(false);
      save.open();
      const answer = await answering;

      expect(eventsOf(answer.body)).toEqual(['new', 'second', 'third']);
      expect(answer.values('content-type')).toEqual(['text/event-stream']);
      expect(answer.values('vary')).toEqual(['Cookie']);
      expect(answer.values('set-cookie')).toHaveLength(1);
    });

    it('wait for a session that is slow to load', async () => {
      const cookie = (await app.send('/events')).values('set-cookie')[0].split(';')[0];
      const load = gate(app.store, 'load');
      const answering = app.send('/events', { headers: { cookie } });
      await load.reached;
      await new Promise((resolve) => setTimeout(resolve)); // after Nest's own timer, which sends the head
      load.open();
      const answer = await answering;

      expect(eventsOf(answer.body)).toEqual(['known', 'second', 'third']);
      expect(answer.values('vary')).toEqual(['Cookie']);
    });

    it('may begin a session although loading took its time', async () => {
      const { store } = app;
      const cookie = (await app.send('/events')).values('set-cookie')[0].split(';')[0];
      await store.delete(keyOfCookie(cookie.split('=')[1]));
      const load = gate(store, 'load');
      const answering = app.send('/events', { headers: { cookie } });
      await load.reached;
      await new Promise((resolve) => setTimeout(resolve));
      load.open();
      const answer = await answering;

      expect(eventsOf(answer.body)).toEqual(['new', 'second', 'third']);
      expect(answer.values('set-cookie')).toHaveLength(1);
    });

    it('are not begun when the session cannot be loaded or saved', async () => {
      const cookie = (await app.send('/events')).values('set-cookie')[0].split(';')[0];
      onceTheStore(app.store, 'load', failing);
      expect(await app.send('/events', { headers: { cookie } })).toMatchObject({ status: 503 });

      onceTheStore(app.store, 'create', failing);
      expect(await app.send('/events')).toMatchObject({ status: 503 });
    });
  });
});
