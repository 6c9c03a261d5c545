import { createHmac } from 'node:crypto';
import { Socket } from 'node:net';
import { inspect } from 'node:util';
import { jest } from '@jest/globals';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  Get,
  type INestApplication,
  Logger,
  Post,
  Req,
} from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import {
  RECORD_FORMAT,
  Session,
  SessionCookieCodec,
  SessionEvents,
  type SessionEventName,
  type SessionRecord,
  SessionStore,
  SessionStoreException,
} from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { failing, gate, hanging, keyOfCookie, once } from '../support/laws.js';
import { turns } from '../support/process-trouble.js';
import { noteCommands } from '../support/spied-app.js';

/** The section "Bad input: what happens" of the issue, line by line. */

type Data = Session<{ views: number; note: string; cart: { items: string[] } }>;
type NodeRequest = { raw?: object };

@Controller()
class Pages {
  lastRequest: object | undefined;

  @Get('views')
  views(@Session() session: Data) {
    return { views: session.get('views') ?? null, keys: [...session.keys()] };
  }

  @Post('count')
  count(@Session() session: Data, @Req() request: NodeRequest) {
    this.lastRequest = request.raw ?? request;
    session.set('views', (session.get('views') ?? 0) + 1);
    session.set('note', NOTE);
    return { views: session.get('views') };
  }

  @Post('flush')
  async flush(@Session() session: Data) {
    await session.flush();
    return 'flushed';
  }

  @Post('atomic')
  async atomic(@Session() session: Data) {
    return { views: await session.atomic('views', (views) => (views ?? 0) + 1) };
  }
}

const NOTE = 'between you and me';
const EVENTS: SessionEventName[] = [
  'corrupt',
  'newerFormat',
  'storeFailed',
  'ambiguous',
  'interrupted',
  'unsaved',
];

const caught: unknown[] = [];
const warn = jest.spyOn(Logger.prototype, 'warn');
const error = jest.spyOn(Logger.prototype, 'error');

@Catch()
class Catches extends BaseExceptionFilter {
  override catch(exception: unknown, host: ArgumentsHost): void {
    caught.push(exception);
    super.catch(exception, host);
  }
}

/** Sends bytes as they are: `fetch` and Node's client refuse most of what is tried here. */
async function sendRaw(port: string, cookies: (string | Buffer)[], path = '/views', method = 'GET') {
  const socket = new Socket().connect(Number(port), '127.0.0.1');
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`);
  for (const cookie of cookies) {
    socket.write('Cookie: ');
    socket.write(cookie);
    socket.write('\r\n');
  }
  socket.write('\r\n');
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of socket) chunks.push(chunk as Buffer);
  } catch {
    // a server that refuses a request may cut the line before all is sent
  }
  const [head, body] = Buffer.concat(chunks).toString().split('\r\n\r\n');
  return { status: Number(/^HTTP\/1.1 (\d+)/.exec(head)?.[1]), hasCookie: /^set-cookie:/im.test(head), body };
}

describe.each(platforms)('Bad input on %s', (platform) => {
  let app: TestApp;
  let store: SessionStore;
  const commands: string[] = [];
  let events: [SessionEventName, unknown][];
  beforeAll(async () => {
    app = await startApp({
      platform,
      controllers: [Pages],
      session: { storeTimeout: '50ms', cookie: { name: 'sid' } },
      setUp: (nest: INestApplication) => nest.useGlobalFilters(new Catches(nest.getHttpAdapter())),
    });
    store = app.get<SessionStore>(SessionStore);
    noteCommands(store, commands);
    for (const name of EVENTS)
      app.get<SessionEvents>(SessionEvents).on(name, (event) => events.push([name, event]));
  });
  afterAll(() => app.close());
  beforeEach(() => {
    commands.length = 0;
    events = [];
    caught.splice(0);
    warn.mockClear();
    error.mockClear();
  });

  const port = () => new URL(app.url).port;
  const logged = () => inspect([...warn.mock.calls, ...error.mock.calls], { depth: 10 });

  /** A visitor with a session, and the record of it. */
  async function visitor() {
    const browser = new Browser(app.url);
    await browser.post('/count');
    const value = String(await browser.cookie('sid'));
    const key = keyOfCookie(value);
    const record = (await store.load(key)) as SessionRecord;
    commands.length = 0;
    return { browser, value, key, record };
  }

  /** Puts another record into the place of a visitor's: what a broken disk or a newer release would leave there. */
  async function replace(key: string, record: SessionRecord): Promise<void> {
    await store.delete(key);
    await store.create(key, record);
    commands.length = 0;
  }

  describe('a cookie that is not ours', () => {
    const codec = (secret: string) => new SessionCookieCodec({ secrets: [secret] });
    const id = 'A'.repeat(43);
    const mac = createHmac('sha256', 'x').update(id).digest('base64url');

    const cookies: [string, (string | Buffer)[]][] = [
      ['malformed', ['sid']],
      ['without a name', ['=value']],
      ['of separators', [';;; , ;=;']],
      ['empty', ['sid=']],
      ['blank', ['sid=   ']],
      ['null', ['sid=null']],
      ['undefined', ['sid=undefined']],
      ['non-ASCII', [Buffer.from(`sid=${'é'.repeat(43)}.${'ü'.repeat(43)}`, 'latin1')]],
      ['UTF-8', [Buffer.from(`sid=${'日本'.repeat(20)}`)]],
      ['%-broken', [`sid=%E0%A4%A${id}%`]],
      ['%-encoded', [`sid=${encodeURIComponent(`${id}.${mac}`).replace('.', '%2E')}`]],
      ['wrongly signed', [`sid=${id}.${mac}`]],
      [
        'signed with another secret',
        [`sid=${codec('another secret of more than 32 characters').encode(id, 'sid')}`],
      ],
      ['plain JSON', ['sid={"views":7}']],
      ['base64 of JSON', [`sid=${Buffer.from('{"views":7}').toString('base64')}`]],
      ['of express-session', [`sid=s%3A${id}.${mac}`]],
      ['only dots', [`sid=${'.'.repeat(87)}`]],
      ['just below the limit of Node', [`sid=${'A'.repeat(15_000)}`]],
      ['many times there', [Array.from({ length: 300 }, () => 'sid=x').join('; ')]],
      ['in several header lines', ['sid=x', 'sid=y', 'sid=z']],
    ];

    it.each(cookies)('%s: anonymous, no store command, no Set-Cookie', async (_, cookie) => {
      const answer = await sendRaw(port(), cookie);

      expect(answer).toMatchObject({ status: 200, hasCookie: false });
      expect(answer.body).toContain('"views":null');
      expect(commands).toEqual([]);
    });

    /** What somebody makes of a good cookie. */
    const forgeries: [string, (value: string, key: string) => string][] = [
      ['truncated', (value) => `sid=${value.slice(0, -1)}`],
      ['longer', (value) => `sid=${value}A`],
      ['quoted', (value) => `sid="${value}"`],
      ['in other letters', (value) => `sid=${value.toLowerCase()}`],
      ['without its signature', (value) => `sid=${value.split('.')[0]}`],
      [
        'with another last character',
        (value) => `sid=${value.slice(0, -1)}${value.endsWith('A') ? 'B' : 'A'}`,
      ],
      ['with another id', (value) => `sid=${value.startsWith('A') ? 'B' : 'A'}${value.slice(1)}`],
      ['with another dot', (value) => `sid=${value.replace('.', '-')}`],
      ['under another name', (value) => `sid2=${value}; xsid=${value}; SID=${value}; Sid=${value}`],
      ['under a name with spaces', (value) => `sid =${value}; si d=${value}`],
      ['under an encoded name', (value) => `%73id=${value}; s%69d=${value}`],
      [
        'in the value of another cookie',
        (value) => `other=sid=${value}; x="; sid=${value}`.replace('"; ', '"'),
      ],
      ['nameless', (value) => `=sid=${value}`],
      ['the key that the store knows', (_, key) => `sid=${key}; sid=${key}.${key}`],
      ['the key, signed as by nobody', (_, key) => `sid=${key.slice(0, 43)}.${key.slice(0, 43)}`],
    ];

    it.each(forgeries)('a good one, %s: anonymous, no store command, no Set-Cookie', async (_, forge) => {
      const { value, key } = await visitor();
      const answer = await sendRaw(port(), [forge(value, key)]);

      expect(answer).toMatchObject({ status: 200, hasCookie: false });
      expect(answer.body).toContain('"views":null');
      expect(commands).toEqual([]);
    });

    it('of 100 kB is refused by Node itself', async () => {
      const answer = await sendRaw(port(), [`sid=${'A'.repeat(100_000)}`]);

      expect(answer).toMatchObject({ status: 431, hasCookie: false });
      expect(commands).toEqual([]);
    });

    it('beside a good one does not get into its way', async () => {
      const { value } = await visitor();
      const answer = await sendRaw(port(), [`sid=garbage; sid=${value}; sid="${value}"`]);

      expect(answer.body).toContain('"views":1');
      expect(commands).toEqual(['load']);
    });

    it('that comes twice and is good is read once', async () => {
      const { value } = await visitor();

      expect((await sendRaw(port(), [`sid=${value}; sid=${value}`])).body).toContain('"views":1');
      expect(commands).toEqual(['load']);
    });

    it('10,000 of them, and 200 anonymous flushes, write nothing', async () => {
      const browser = new Browser(app.url);
      const before = await store.count();
      for (let i = 0; i < 100; i++) {
        const cookie = Array.from(
          { length: 100 },
          (_, j) => `sid=${(i * 100 + j).toString(36).padStart(43, 'x')}.${mac}`,
        );
        await browser.get('/views', { cookie: cookie.join('; ') });
        await browser.post('/flush', { cookie: cookie[0] });
        await browser.post('/flush');
      }

      expect(commands).toEqual([]);
      expect(await store.count()).toBe(before);
    });
  });

  it('a request header named __proto__ harms nobody', async () => {
    const { value } = await visitor();
    const answer = await sendRaw(port(), [`sid=${value}\r\n__proto__: {"session": 1}\r\nconstructor: x`]);

    expect(answer.status).toBe(200);
    expect(answer.body).toContain('"views":1');
  });

  it.each(['/views?sid=', '/views?sessionid=', '/views;sid='])(
    'an id in the URL selects nothing (%s)',
    async (path) => {
      const { value } = await visitor();

      expect((await sendRaw(port(), [], path + value)).body).not.toContain('"views":1');
      expect(commands).toEqual([]);
    },
  );

  describe('stored data that cannot be read', () => {
    it('a corrupt row is an empty session, and one warning that names the handle', async () => {
      const { browser, key, record } = await visitor();
      await replace(key, { ...record, values: {}, corrupt: true });

      expect((await browser.get('/views')).json()).toEqual({ views: null, keys: [] });
      expect((await browser.get('/views')).status).toBe(200);
      expect(warn).toHaveBeenCalledTimes(1);
      expect(warn.mock.calls[0][0]).toContain(record.handle);
      expect(events[0]).toEqual(['corrupt', { handle: record.handle }]);
      expect(logged()).not.toContain(key);
    });

    it('a corrupt row is whole again after the next save', async () => {
      const { browser, key, record } = await visitor();
      await replace(key, { ...record, values: {}, corrupt: true });

      expect((await browser.post('/count')).json()).toEqual({ views: 1 });
      expect((await browser.get('/views')).json()).toMatchObject({ views: 1 });
    });

    it.each(['', '{"half', 'undefined', '\u0000', "{'views': 1}"])(
      'a single value that is corrupt (%j) is no value, the others stay, and one warning names the handle',
      async (text) => {
        const { browser, key, record } = await visitor();
        await replace(key, { ...record, values: { ...record.values, views: text } });

        expect((await browser.get('/views')).json()).toMatchObject({ views: null });
        expect((await browser.get('/views')).json()).toMatchObject({ views: null });
        expect(warn).toHaveBeenCalledTimes(1);
        expect(warn.mock.calls[0][0]).toContain(record.handle);
        if (text.length > 1) expect(logged()).not.toContain(text);
        // read only: the store is left as it is, so that somebody can look
        expect((await store.load(key))?.values).toMatchObject({ views: text, note: JSON.stringify(NOTE) });
        expect((await browser.post('/count')).json()).toEqual({ views: 1 });
      },
    );

    it('an atomic change of a corrupt value begins anew', async () => {
      const { browser, key, record } = await visitor();
      await replace(key, { ...record, values: { views: '{"half' } });

      expect(await browser.post('/atomic')).toMatchObject({ status: 201 });
      expect((await browser.get('/views')).json()).toMatchObject({ views: 1 });
    });

    it('a session without any values is an empty one, without a warning', async () => {
      const { browser, key, record } = await visitor();
      await replace(key, { ...record, values: {} });

      expect((await browser.get('/views')).json()).toEqual({ views: null, keys: [] });
      expect(warn).not.toHaveBeenCalled();
    });

    it('a row of a newer format is a 503 and an event, and stays as it is', async () => {
      const { browser, key, record } = await visitor();
      const newer = { ...record, format: RECORD_FORMAT + 1, values: { views: 'in another form' } };
      await replace(key, newer);

      for (const answer of [
        await browser.get('/views'),
        await browser.post('/count'),
        await browser.post('/flush'),
      ]) {
        expect(answer.status).toBe(503);
        expect(answer.setCookies).toEqual([]);
      }
      expect(events[0]).toEqual(['newerFormat', { handle: record.handle, format: RECORD_FORMAT + 1 }]);
      expect(new Set(commands)).toEqual(new Set(['load']));
      expect(await store.load(key)).toEqual(newer);
      expect(warn).toHaveBeenCalledTimes(1);
    });
  });

  describe.each([
    ['down', failing],
    ['hanging', hanging],
    [
      'down at once',
      () => {
        throw new Error('not even a promise');
      },
    ],
  ] as [string, () => Promise<never>][])('a store that is %s', (_, answer) => {
    it('at the load: a 503, nothing written, no cookie', async () => {
      const { browser } = await visitor();
      once(store, 'load', answer);
      const response = await browser.post('/count');

      expect(response.status).toBe(503);
      expect(response.setCookies).toEqual([]);
      expect(commands).toEqual([]);
      expect(events).toEqual([['storeFailed', { operation: 'load' }]]);
      expect((await browser.get('/views')).json()).toMatchObject({ views: 1 });
    });

    it('at the save: a 503, nothing written, no cookie', async () => {
      const { browser } = await visitor();
      once(store, 'save', answer);
      const response = await browser.post('/count');

      expect(response.status).toBe(503);
      expect(response.setCookies).toEqual([]);
      expect(commands).toEqual(['load']);
      expect((await browser.get('/views')).json()).toMatchObject({ views: 1 });
    });

    it('at the create: a 503, nothing written, no cookie', async () => {
      const browser = new Browser(app.url);
      once(store, 'create', answer);
      const response = await browser.post('/count');

      expect(response.status).toBe(503);
      expect(response.setCookies).toEqual([]);
      expect(commands).toEqual([]);
    });

    it.each([
      ['delete', '/flush'],
      ['atomic', '/atomic'],
    ] as const)('at %s: a 503, no cookie', async (command, path) => {
      const { browser } = await visitor();
      once(store, command, answer);
      const response = await browser.post(path);

      expect(response.status).toBe(503);
      expect(response.setCookies).toEqual([]);
      expect((await browser.get('/views')).json()).toMatchObject({ views: 1 });
    });

    it('the body of the 503 names nothing inside', async () => {
      const { browser } = await visitor();
      once(store, 'load', answer);

      expect((await browser.get('/views')).json()).toEqual({
        statusCode: 503,
        error: 'Service Unavailable',
        message: 'The session is not available at the moment.',
      });
    });
  });

  it('a store that answers too late has had its 503, and its answer harms nobody', async () => {
    const { browser } = await visitor();
    const load = gate(store, 'load');

    expect((await browser.get('/views')).status).toBe(503);
    load.open();
    await turns();
    expect((await browser.get('/views')).status).toBe(200);
  });

  describe('secrets of a driver that complains with all it knows', () => {
    /** What TypeORM, pg, mysql2 and redis put into their errors. */
    function complaint(key: string, value: string): Error {
      const sql = `UPDATE "session" SET "data" = '${value}' WHERE "key" = '${key}'`;
      const inner = Object.assign(new Error(`duplicate key value: Key (key)=(${key}) already exists.`), {
        detail: `Key (key)=(${key}) already exists.`,
        where: value,
      });
      return Object.assign(
        new Error(`ER_DUP_ENTRY: Duplicate entry '${key}' for key 'PRIMARY'`, { cause: inner }),
        {
          code: 'ER_DUP_ENTRY',
          errno: 1062,
          sql,
          query: sql,
          parameters: [key, value, { nested: [key] }],
          driverError: inner,
          command: { name: 'HSET', args: [key, value] },
          errors: [inner],
        },
      );
    }

    it.each(['load', 'save'] as const)(
      'at %s: neither in the exception, nor in a log, an event or the body',
      async (command) => {
        const { browser, key, value } = await visitor();
        const [id] = value.split('.');
        once(store, command, () => Promise.reject(complaint(key, NOTE)));
        const response = await browser.post('/count');

        expect(response.status).toBe(503);
        const exception = caught.find((each) => each instanceof SessionStoreException);
        expect(exception?.cause).toMatchObject({ code: 'ER_DUP_ENTRY' });
        const everything = [
          inspect(exception, { depth: 10, showHidden: true }),
          JSON.stringify(exception),
          String((exception?.cause as Error).stack),
          inspect(events, { depth: 10, showHidden: true }),
          logged(),
          response.text,
        ].join('\n');
        for (const secret of [key, id, value, NOTE]) expect(everything).not.toContain(secret);
        expect(everything).toContain('ER_DUP_ENTRY');
        expect(error).toHaveBeenCalled();
      },
    );

    it.each([
      ['a text', (key: string) => `failed for ${key}`],
      ['nothing', () => undefined],
      ['null', () => null],
      ['an object', (key: string) => ({ message: { key }, key })],
      [
        'a stack that goes on after the message',
        (key: string) => {
          const mistake = new Error(`line one\n    at ${key}\n    at '${NOTE}' (${NOTE}:1:1)`);
          return mistake;
        },
      ],
    ])('that throws %s: a 503 all the same', async (_, thrown) => {
      const { browser, key } = await visitor();
      once(store, 'load', async () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- drivers throw what they like
        throw thrown(key);
      });
      const response = await browser.get('/views');

      expect(response.status).toBe(503);
      const everything = inspect(caught, { depth: 10, showHidden: true }) + logged();
      for (const secret of [key, NOTE]) expect(everything).not.toContain(secret);
    });

    it('a request that somebody logs shows neither keys nor values', async () => {
      const { browser, key } = await visitor();
      await browser.post('/count');
      const shown = inspect(app.get<Pages>(Pages).lastRequest, {
        depth: 8,
        showHidden: true,
        maxStringLength: null,
      });

      expect(shown).toContain('Session');
      for (const secret of [key, NOTE]) expect(shown).not.toContain(secret);
    });
  });
});
