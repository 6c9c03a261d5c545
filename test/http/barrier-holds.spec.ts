import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import { connect } from 'node:http2';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  type INestApplication,
  StreamableFile,
} from '@nestjs/common';
import { failing, gate, once as onceTheStore, withResolvers } from '../support/laws.js';
import { turns, watchWarnings } from '../support/process-trouble.js';
import { makeStage, type Scene } from '../support/stage.js';
import { startOn, type Transport, type TransportApp, transports } from '../support/transports.js';

/**
 * What a response looks like to everybody around it while its first byte waits for the store. The store waits for a gate
 * that the test opens.
 */
const stage = makeStage();

@Catch()
class AnswersWithoutLooking implements ExceptionFilter {
  // As in Nest's documentation: nobody asks whether an answer is on its way already.
  catch(_: unknown, host: ArgumentsHost): void {
    const response = host
      .switchToHttp()
      .getResponse<{ status(code: number): { send(body: unknown): void } }>();
    response.status(500).send({ answered: 'by the filter, and longer than what was sent before' });
  }
}

const onHttp1: Transport[] = ['Express over HTTP/1.1', 'Fastify over HTTP/1.1'];

const text = (response: AsyncIterable<Buffer>) =>
  Readable.from(response)
    .toArray()
    .then((all) => Buffer.concat(all as Buffer[]).toString());

async function start(transport: Transport, setUp?: (app: INestApplication) => unknown) {
  return startOn(transport, { controllers: [stage.controller], setUp });
}

describe.each(transports)('While the store is slow, on %s', (transport) => {
  const isHttp2 = transport.endsWith('HTTP/2');
  let app: TransportApp;
  beforeAll(async () => {
    app = await start(transport);
  });
  afterAll(() => app.close());

  /** Plays a scene up to the moment when the store is asked, and hands out the answer that is to come. */
  async function held(play: (scene: Scene) => unknown, path = '/raw', method = 'GET') {
    stage.play = play;
    const save = gate(app.store, 'create');
    let hasAnswered = false;
    const answer = app.send(path, { method }).finally(() => (hasAnswered = true));
    await save.reached;
    await turns();
    expect(hasAnswered).toBe(false);
    return { answer, open: save.open };
  }

  it('no byte leaves before the save, and everything after it', async () => {
    const { answer, open } = await held(({ session, response }) => {
      session.set('a', 1);
      response.write('one ');
      response.write('two ');
      response.end('three');
    });
    open();

    expect(await answer).toMatchObject({ status: 200, body: 'one two three' });
  });

  it('headersSent, writableEnded and the return values tell what was called', async () => {
    const seen: unknown[] = [];
    const { answer, open } = await held(({ session, response }) => {
      session.set('a', 1);
      const look = () => seen.push([response.headersSent, response.writableEnded, response.writableFinished]);
      look();
      seen.push(response.writeHead(200) === response);
      look();
      seen.push(response.write('body'));
      seen.push(response.end() === response);
      look();
    });
    open();

    expect((await answer).body).toBe('body');
    expect(seen).toEqual([
      [false, false, false],
      true,
      [true, false, false],
      false,
      true,
      [true, true, false],
    ]);
  });

  it('a header that comes too late is refused, as without a session', async () => {
    const errors: unknown[] = [];
    const tryTo = (act: () => unknown) => {
      try {
        act();
        errors.push('done');
      } catch (error) {
        errors.push((error as { code: unknown }).code);
      }
    };
    const { answer, open } = await held(({ session, response }) => {
      session.set('a', 1);
      response.setHeader('X-Early', 'yes');
      response.write('body');
      tryTo(() => response.setHeader('X-Late', 'yes'));
      tryTo(() => response.removeHeader('X-Early'));
      tryTo(() => response.writeHead(500));
      response.end();
    });
    open();

    const { status, values } = await answer;
    expect({ status, early: values('x-early'), late: values('x-late') }).toEqual({
      status: 200,
      early: ['yes'],
      late: [],
    });
    const code = isHttp2 ? 'ERR_HTTP2_HEADERS_SENT' : 'ERR_HTTP_HEADERS_SENT';
    expect(errors).toEqual([code, code, expect.stringMatching(/_HEADERS_SENT$/)]);
  });

  it('headers can be set again where an error takes the place of the answer', async () => {
    stage.play = ({ session, response }) => {
      session.set('a', 1);
      response.setHeader('X-Request-Id', '7');
      response.setHeader('Content-Type', 'image/png');
      response.writeHead(200, { 'Content-Length': 4 });
      response.end('body');
    };
    onceTheStore(app.store, 'create', failing);
    const answer = await app.send('/raw');

    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toMatchObject({ statusCode: 503 });
    expect(answer.values('content-type')).toEqual(['application/json; charset=utf-8']);
    expect(answer.values('content-length')).toEqual([String(answer.body.length)]);
    expect(answer.values('x-request-id')).toEqual(['7']);
    expect(answer.values('set-cookie')).toEqual([]);
  });

  it('a status that is assigned too late does not leave', async () => {
    const { answer, open } = await held(({ session, response }) => {
      session.set('a', 1);
      response.end('body');
      response.statusCode = 500;
    });
    open();

    expect((await answer).status).toBe(200);
  });

  it('the callbacks of write and end are called, each once', async () => {
    const called: string[] = [];
    const { answer, open } = await held(({ session, response }) => {
      session.set('a', 1);
      response.write('body', () => called.push('write'));
      response.end('', 'utf8', () => called.push('end'));
    });
    await turns();
    expect(called).toEqual([]);
    open();

    await answer;
    await turns();
    expect(called.sort()).toEqual(['end', 'write']);
  });

  it('the callbacks of write and end are called when the save failed', async () => {
    const { promise: ended, resolve: end } = withResolvers<void>();
    const called: string[] = [];
    stage.play = ({ session, response }) => {
      session.set('a', 1);
      response.write('body', () => called.push('write'));
      response.end('', 'utf8', () => {
        called.push('end');
        end();
      });
    };
    onceTheStore(app.store, 'create', failing);

    expect((await app.send('/raw')).status).toBe(503);
    await ended;
    expect(called).toEqual(['write', 'end']);
  });

  it('what the handler sends after a failed save goes nowhere, and it is told no error', async () => {
    const { promise: finished, resolve: finish } = withResolvers<unknown>();
    const failed = withResolvers<void>();
    stage.play = async ({ session, response }) => {
      session.set('a', 1);
      response.write('first');
      await failed.promise;
      finish([response.write('second'), response.flushHeaders(), response.end('third') === response]);
    };
    onceTheStore(app.store, 'create', failing);
    const answer = await app.send('/raw');
    failed.resolve();

    expect(answer.status).toBe(503);
    expect(answer.body).not.toMatch(/first|second|third/);
    expect(await finished).toEqual([true, undefined, true]);
  });

  it("a writer that waits for 'drain' goes on after the save, and after a failed one", async () => {
    const write = async ({ session, response }: Scene) => {
      session.set('a', 1);
      for (let i = 0; i < 5; i++) if (!response.write(`${i}`)) await once(response, 'drain');
      response.end();
      done.resolve();
    };
    let done = withResolvers<void>();
    const { answer, open } = await held(write);
    open();
    expect((await answer).body).toBe('01234');
    await done.promise;

    done = withResolvers<void>();
    stage.play = write;
    onceTheStore(app.store, 'create', failing);
    expect((await app.send('/raw')).status).toBe(503);
    await done.promise;
  });

  it('a stream larger than the buffers arrives whole and in order, and is not read ahead meanwhile', async () => {
    let read = 0;
    const chunks = function* () {
      for (; read < 200; read++) yield Buffer.alloc(16 * 1024, String(read % 10));
    };
    const { answer, open } = await held(async ({ session, response }) => {
      session.set('a', 1);
      await pipeline(Readable.from(chunks(), { highWaterMark: 2 }), response);
    });
    expect(read).toBeLessThan(10);
    open();

    const { body } = await answer;
    expect(body.length).toBe(200 * 16 * 1024);
    expect(body.replace(/(.)\1*/g, '$1')).toBe('0123456789'.repeat(20));
  });

  it('a file that the handler returns arrives whole', async () => {
    const { answer, open } = await held(({ session }) => {
      session.set('a', 1);
      return new StreamableFile(Readable.from(['one ', 'two ', 'three']), { type: 'text/plain' });
    }, '/value');
    open();

    expect(await answer).toMatchObject({ status: 200, body: 'one two three' });
  });

  it.each(['/raw', '/value'])('a stream whose place a 503 takes is closed (%s)', async (path) => {
    const stream = new Readable({ read: () => undefined });
    stream.on('error', () => undefined);
    stream.push('the begin of something long');
    const closed = once(stream, 'close');
    stage.play = ({ session, response }) => {
      session.set('a', 1);
      if (path === '/value') {
        // The interceptor has nothing to do: the change comes after it, with the first byte.
        return new StreamableFile(stream);
      }
      return void pipeline(stream, response).catch(() => undefined);
    };
    onceTheStore(app.store, 'create', failing);

    expect((await app.send(path)).status).toBe(503);
    if (path === '/raw') await closed;
    else stream.destroy();
  });

  it.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('an answer without a body waits too: %s %i', async (method, status) => {
    const { answer, open } = await held(
      ({ session, response }) => {
        session.set('a', 1);
        response.statusCode = status;
        response.end();
      },
      '/raw',
      method,
    );
    open();

    const { values, ...rest } = await answer;
    expect(rest).toMatchObject({ status, body: '' });
    expect(values('set-cookie')).toHaveLength(1);
    expect(values('vary')).toEqual(['Cookie']);
  });

  it('a HEAD whose save failed is a 503 without a body', async () => {
    stage.play = ({ session, response }) => {
      session.set('a', 1);
      response.end();
    };
    onceTheStore(app.store, 'create', failing);

    expect(await app.send('/raw', { method: 'HEAD' })).toMatchObject({ status: 503, body: '' });
  });

  // Over HTTP/2, Node checks neither names nor statuses: it drops what cannot be sent.
  const itOnHttp1 = isHttp2 ? () => undefined : it;

  itOnHttp1('headers that cannot be sent are a 500, and the next request is served', async () => {
    const { answer, open } = await held(({ session, response }) => {
      session.set('a', 1);
      response.writeHead(200, { 'X-Bad': 'line\nbreak' });
      response.end('body');
    });
    open();

    expect(await answer).toMatchObject({ status: 500, body: expect.stringContaining('"statusCode":500') });
    expect(await app.send('/plain')).toMatchObject({ status: 200, body: 'plain' });
  });

  itOnHttp1('headers that cannot be sent are an error to the caller where nothing had to wait', async () => {
    let error: unknown;
    stage.play = ({ session, response }) => {
      session.get('a');
      try {
        response.writeHead(200, { 'X-Bad': 'line\nbreak' });
      } catch (caught) {
        error = caught;
        response.writeHead(400).end('told');
      }
    };

    expect(await app.send('/raw')).toMatchObject({ status: 400, body: 'told' });
    expect(error).toMatchObject({ code: 'ERR_INVALID_CHAR' });
  });

  itOnHttp1('an impossible status is a 500, and no crash', async () => {
    const { answer, open } = await held(({ session, response }) => {
      session.set('a', 1);
      response.writeHead('nonsense' as never);
      response.end('body');
    });
    open();

    expect((await answer).status).toBe(500);
  });

  it('nothing is warned of by Node, and no listener is left behind', async () => {
    const { warnings, stop } = watchWarnings();
    const listeners: unknown[] = [];
    const count = (response: ServerResponse) =>
      ['close', 'finish', 'drain', 'error', 'pipe'].map((name) => response.listenerCount(name));
    let seen!: ServerResponse;
    const { answer, open } = await held(({ session, response }) => {
      seen = response;
      session.set('a', 1);
      response.write('a');
      response.end('b');
      listeners.push(count(response));
    });
    open();
    await answer;
    await turns();
    stop();

    expect(warnings).toEqual([]);
    expect(count(seen).every((each, i) => each <= (listeners[0] as number[])[i])).toBe(true);
  });
});

describe.each(onHttp1)('On %s', (transport) => {
  let app: TransportApp;
  beforeAll(async () => {
    app = await start(transport);
    app.app.useGlobalFilters(new AnswersWithoutLooking());
  });
  afterAll(() => app.close());

  it('a handler that answers and then throws has answered once', async () => {
    stage.play = ({ session, response }) => {
      session.set('a', 1);
      response.setHeader('Content-Type', 'text/plain');
      response.end('the answer');
      throw new Error('too late');
    };
    const answer = await app.send('/raw');

    expect(answer).toMatchObject({ status: 200, body: 'the answer' });
    expect(answer.values('content-type')).toEqual(['text/plain']);
    expect(answer.values('set-cookie')).toHaveLength(1);
  });

  it('1xx are not held', async () => {
    stage.play = ({ session, response }) => {
      session.set('a', 1);
      response.writeContinue();
      response.writeProcessing();
      response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
      response.end('body');
    };
    const save = gate(app.store, 'create');
    const request = httpRequest({ port: app.port, path: '/raw', agent: false }).end();
    const codes: number[] = [];
    const hints = new Promise<void>((resolve) =>
      request.on('information', ({ statusCode }) => {
        codes.push(statusCode);
        if (statusCode === 103) resolve();
      }),
    );
    await save.reached;
    await hints;
    expect(codes).toEqual([100, 102, 103]);
    save.open();

    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(await text(response)).toBe('body');
  });

  it('requests that wait on one connection are answered in their order', async () => {
    let turn = 0;
    stage.play = ({ session, response }) => {
      session.set('a', 1);
      response.end(`answer ${turn++}`);
    };
    const save = gate(app.store, 'create');
    const { Socket } = await import('node:net');
    const socket = new Socket().connect(app.port, '127.0.0.1');
    const ask = (connection: string) => `GET /raw HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\n\r\n`;
    socket.write(ask('keep-alive') + ask('close'));
    await save.reached;
    await turns();
    save.open();

    const received = await text(socket);
    expect(received.match(/HTTP\/1.1 200 OK/g)).toHaveLength(2);
    expect(received.indexOf('answer 0')).toBeLessThan(received.indexOf('answer 1'));
  });
});

describe('On Fastify over HTTP/2', () => {
  let app: TransportApp;
  beforeAll(async () => {
    app = await start('Fastify over HTTP/2');
  });
  afterAll(() => app.close());

  it('1xx are not held', async () => {
    stage.play = ({ session, response }) => {
      session.set('a', 1);
      response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
      response.end('body');
    };
    const save = gate(app.store, 'create');
    const client = connect(`http://127.0.0.1:${app.port}`);
    const stream = client.request({ ':path': '/raw' }).end();
    const [hints] = (await once(stream, 'headers')) as [Record<string, unknown>];
    expect(hints[':status']).toBe(103);
    await save.reached;
    save.open();

    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).toBe(200);
    expect(await text(stream)).toBe('body');
    client.close();
  });
});
