import { once } from 'node:events';
import {
  type ClientRequest,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from 'node:http';
import { type ClientHttp2Stream, connect } from 'node:http2';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SessionEvents } from 'nest-session';
import { failing, gate, keyOfCookie, once as onceTheStore, withResolvers } from '../support/laws.js';
import { turns, watchWarnings } from '../support/process-trouble.js';
import { makeStage, type Scene } from '../support/stage.js';
import { startOn, type TransportApp } from '../support/transports.js';

/**
 * The client goes away: while the session loads, while the answer waits for the save, while the answer is sent. The save
 * under way is finished, and nothing stays behind. Rejections that nobody handles fail any test here.
 */
const stage = makeStage();

const EVENTS = ['close', 'finish', 'drain', 'error', 'pipe', 'unpipe'];
const listenersOf = (response: ServerResponse) => EVENTS.map((name) => response.listenerCount(name));

describe.each(['Express over HTTP/1.1', 'Fastify over HTTP/1.1', 'Fastify over HTTP/2'] as const)(
  'A client of %s that goes away',
  (transport) => {
    const isHttp2 = transport.endsWith('HTTP/2');
    let app: TransportApp;
    let cookie: string;
    let unsaved: unknown[];
    let watch: ReturnType<typeof watchWarnings>;

    beforeAll(async () => {
      app = await startOn(transport, { controllers: [stage.controller] });
      app.app.get(SessionEvents).on('unsaved', (event) => unsaved.push(event));
    });
    afterAll(() => app.close());

    beforeEach(async () => {
      stage.play = ({ session, response }) => {
        session.set('a', 'before');
        response.end();
      };
      cookie = (await app.send('/raw')).values('set-cookie')[0].split(';')[0];
      unsaved = [];
      watch = watchWarnings();
    });
    afterEach(async () => {
      watch.stop();
      expect(watch.warnings).toEqual([]);
      expect((await app.send('/plain')).body).toBe('plain'); // the server lives, and has no answer in the way
    });

    /** Asks for a page; `leave()` cuts the connection, and is over when the server knows it. */
    function ask(path = '/raw') {
      const client = isHttp2 ? connect(`http://127.0.0.1:${app.port}`) : undefined;
      const request: ClientRequest | ClientHttp2Stream = client
        ? client.request({ ':path': path, cookie })
        : httpRequest({ port: app.port, path, agent: false, headers: { cookie } });
      request.on('error', () => undefined);
      client?.on('error', () => undefined);
      request.end();
      const leave = () => (client ?? request).destroy();
      return { request, leave };
    }

    /** Plays a scene; `gone` is when the server knows that its client left. */
    function scene(play: (scene: Scene) => unknown) {
      const gone = withResolvers<void>();
      const over = withResolvers<unknown>();
      let response!: ServerResponse;
      stage.play = async (given) => {
        ({ response } = given);
        response.once('close', gone.resolve);
        try {
          over.resolve(await play(given));
        } catch (error) {
          over.resolve(error);
        }
      };
      return { gone: gone.promise, over: over.promise, response: () => response };
    }

    const stored = async () => (await app.store.load(keyOfCookie(cookie.split('=')[1])))?.values;

    it('while its session loads: the handler runs to its end, and its change is kept', async () => {
      const { over, response } = scene(({ session, response }) => {
        session.set('a', 'after');
        response.end('nobody reads this');
      });
      const saved = withResolvers<void>();
      const load = gate(app.store, 'load');
      const save = gate(app.store, 'save');
      void save.reached.then(save.open).then(saved.resolve);
      const { leave } = ask();
      await load.reached;
      leave();
      await turns();
      load.open();

      await over;
      await saved.promise;
      await turns();
      expect(await stored()).toEqual({ a: '"after"' });
      expect(response().headersSent).toBe(false);
      expect(unsaved).toEqual([]);
    });

    it('while the answer waits for the save: the save is finished, and nothing is held any more', async () => {
      const called: unknown[] = [];
      const { gone, response } = scene(({ session, response }) => {
        session.set('a', 'after');
        response.write('some', (error) => called.push(error instanceof Error));
        response.end('thing', 'utf8', () => called.push('end'));
      });
      const save = gate(app.store, 'save');
      const { leave } = ask();
      await save.reached;
      leave();
      await gone;
      save.open();
      await turns();

      expect(await stored()).toEqual({ a: '"after"' });
      expect(called).toEqual([true, 'end']);
      expect(
        Object.keys(response()).filter((name) => /^(headersSent|writableEnded|setHeader)$/.test(name)),
      ).toEqual([]);
      expect(unsaved).toEqual([]);
    });

    it('while the answer waits for a save that fails: no crash, and no answer', async () => {
      const { gone } = scene(({ session, response }) => {
        session.set('a', 'after');
        response.end('something');
      });
      const reached = withResolvers<void>();
      const failed = withResolvers<void>();
      onceTheStore(app.store, 'save', async () => {
        reached.resolve();
        await failed.promise;
        return failing();
      });
      const { leave } = ask();
      await reached.promise;
      leave();
      await gone;
      failed.resolve();
      await turns();

      expect(await stored()).toEqual({ a: '"before"' });
      expect(unsaved).toEqual([]);
    });

    it('before the handler has answered: what it then changes is saved, and nobody is warned', async () => {
      const left = withResolvers<void>();
      const reached = withResolvers<void>();
      const { gone, over } = scene(async ({ session, response }) => {
        session.set('a', 'after');
        reached.resolve();
        await left.promise;
        response.end('nobody reads this');
      });
      const { leave } = ask();
      await reached.promise;
      leave();
      await gone;
      left.resolve();
      await over;
      await turns();

      expect(await stored()).toEqual({ a: '"after"' });
      expect(unsaved).toEqual([]);
    });

    it('while a stream is held for the save: the stream is closed', async () => {
      const source = new Readable({ read: () => undefined });
      source.push('begin');
      const { gone, over } = scene(({ session, response }) => {
        session.set('a', 'after');
        return pipeline(source, response);
      });
      const save = gate(app.store, 'save');
      const { leave } = ask();
      await save.reached;
      leave();
      await gone;
      save.open();

      expect(await over).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
      expect(source.destroyed).toBe(true);
      expect(await stored()).toEqual({ a: '"after"' });
    });

    it('in the midst of a stream: the stream is closed, and what was not saved is told', async () => {
      const source = new Readable({ read: () => undefined });
      source.push('begin');
      const { gone, over, response } = scene(async ({ session, response }) => {
        session.set('a', 'after');
        const sent = pipeline(source, response);
        await began.promise;
        session.set('b', 'lost');
        return sent;
      });
      const began = withResolvers<void>();
      const { request, leave } = ask();
      const [answer] = (await once(request, 'response')) as [IncomingMessage];
      (isHttp2 ? (request as ClientHttp2Stream) : answer).on('error', () => undefined).resume();
      const before = listenersOf(response());
      began.resolve();
      await turns();
      leave();
      await gone;

      expect(await over).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
      await turns();
      expect(source.destroyed).toBe(true);
      expect(await stored()).toEqual({ a: '"after"' });
      expect(unsaved).toHaveLength(1);
      expect(listenersOf(response()).every((count, i) => count <= before[i])).toBe(true);
    });

    it('leaves no listener on its response but those that were there before the session', async () => {
      const during: number[][] = [];
      const { gone, response } = scene(({ session, response }) => {
        session.set('a', 'after');
        response.end('something');
        during.push(listenersOf(response));
      });
      const save = gate(app.store, 'save');
      const { leave } = ask();
      await save.reached;
      leave();
      await gone;
      save.open();
      await turns();

      expect(listenersOf(response()).every((count, i) => count <= during[0][i])).toBe(true);
      expect(response().listenerCount('close')).toBeLessThan(during[0][0]);
    });
  },
);
