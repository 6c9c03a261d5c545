import { jest } from '@jest/globals';
import { inspect } from 'node:util';
import { HttpException, Logger } from '@nestjs/common';
import {
  MemorySessionStore,
  SessionEvents,
  SessionHeadersSentError,
  SessionOptionsError,
  SessionStore,
  SessionTooLargeError,
} from 'nest-session';
import { EncryptedCookieSessions } from 'nest-session/cookie';
import { packRecord, type SealedRecord, unpackRecord } from '../../lib/backends/cookie/sealed-record.js';
import { CookieSeal } from '../../lib/backends/cookie/cookie-seal.js';
import { type SessionRecord } from '../../lib/core/record.js';
import { type Answer, Browser } from '../support/browser.js';
import { platforms, SECRET, startApp, type TestApp, type TestAppOptions } from '../support/http-app.js';
import { type AnySession, makeStage, type Scene } from '../support/stage.js';

const OTHER_SECRET = 'another secret for tests, of more than 32 characters';
const DAY_MS = 86_400_000;
const stage = makeStage();

type Play = (session: AnySession, scene: Scene) => unknown;

const pairOf = (setCookie: string) => setCookie.split(';')[0];
const nameOf = (setCookie: string) => setCookie.split('=')[0];
const isClearing = (setCookie: string) => /^[^=]+=;/.test(setCookie) && setCookie.includes('Max-Age=0');
/** The Cookie header of a browser that got these and nothing else. */
const headerOf = (answer: Answer) =>
  answer.setCookies
    .filter((line) => !isClearing(line))
    .map(pairOf)
    .join('; ');

/** What the cookie of one piece holds; nobody but the holder of the secret can do this. */
function open(cookie: string, name = 'sessionid', secret = SECRET) {
  const text = pairOf(cookie).slice(`${name}=1.1.`.length);
  const opened = new CookieSeal([secret]).open(text, `nest-session encrypted cookie 1.1.${name}`);
  return opened && (unpackRecord(opened) as SealedRecord);
}

function seal(record: SessionRecord, { name = 'sessionid', secret = SECRET, id = 'x' } = {}): string {
  const context = `nest-session encrypted cookie 1.1.${name}`;
  return `${name}=1.1.${new CookieSeal([secret]).seal(packRecord({ id, record }, false), context)}`;
}

describe.each(platforms)('encrypted cookies · %s', (platform) => {
  const apps: TestApp[] = [];
  let app: TestApp;
  /** All applications of these tests live at the same time. */
  const start = async (options: Partial<TestAppOptions> = {}) => {
    const started = await startApp({
      platform,
      controllers: [stage.controller],
      store: EncryptedCookieSessions,
      clock: app?.clock,
      ...options,
    });
    apps.push(started);
    return started;
  };
  beforeAll(async () => {
    app = await start();
  });
  afterAll(() => Promise.all(apps.map((each) => each.close())));
  afterEach(() => jest.restoreAllMocks());

  const ask = async (
    cookie: string | undefined,
    play: Play,
    { path = '/value', of = app, headers = {}, method = 'POST' } = {},
  ) => {
    stage.play = (scene) => play(scene.session, scene);
    return new Browser(of.url).request(method, path, { headers: { ...headers, ...(cookie && { cookie }) } });
  };
  const startSession = (options = {}) =>
    ask(
      undefined,
      (session) => {
        session.set('views', 1);
        return {};
      },
      options,
    );
  const readViews = async (cookie: string | undefined, options = {}) => {
    const answer = await ask(cookie, (session) => ({ views: session.get('views') ?? null }), options);
    return { ...answer, views: answer.json().views };
  };
  const setViews = (cookie: string | undefined, views: unknown, options = {}) =>
    ask(
      cookie,
      (session) => {
        session.set('views', views);
        return {};
      },
      options,
    );
  const silenceLog = () => jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);

  describe('keep a session', () => {
    it('over requests, with all that belongs to it', async () => {
      const first = await ask(undefined, (session) => {
        session
          .set('cart', { items: ['tea', 'ü \u0000 \u{1f375}'] })
          .set('__proto__', 1)
          .flash('note', 'hi')
          .flash('note', ['there']);
        return { handle: session.handle, isNew: session.isNew, isConfirmed: session.isConfirmed };
      });
      const second = await ask(headerOf(first), (session) => ({
        handle: session.handle,
        isNew: session.isNew,
        isConfirmed: session.isConfirmed,
        entries: [...session.entries()],
        note: session.takeFlash('note'),
      }));
      const third = await ask(headerOf(second), (session) => ({ note: session.takeFlash('note') }));

      expect(first.json()).toMatchObject({ isNew: true, isConfirmed: false });
      expect(second.json()).toEqual({
        handle: first.json().handle,
        isNew: false,
        isConfirmed: true,
        entries: [
          ['cart', { items: ['tea', 'ü \u0000 \u{1f375}'] }],
          ['__proto__', 1],
        ],
        note: ['hi', ['there']],
      });
      expect(third.json()).toEqual({ note: [] });
    });

    it('with changes inside of its values, and what was removed', async () => {
      const first = await ask(undefined, (session) => {
        session.set('cart', ['tea']).set('gone', 1);
        return {};
      });
      const second = await ask(headerOf(first), (session) => {
        (session.get('cart') as string[]).push('cup');
        session.delete('gone');
        return {};
      });
      const third = await ask(headerOf(second), (session) => [...session.entries()]);
      expect(third.json()).toEqual([['cart', ['tea', 'cup']]]);
    });

    it('by save() in the middle of a request, and by atomic() at once', async () => {
      const first = await startSession();
      const second = await ask(headerOf(first), async (session, { response }) => {
        const views = await session.atomic('views', (n) => Number(n) + 1);
        response.statusCode = 500; // an error undoes what was not saved yet
        session.set('undone', true);
        return { views };
      });
      expect(second.json()).toEqual({ views: 2 });
      const third = await ask(headerOf(second), (session) => [...session.entries()]);
      expect(third.json()).toEqual([['views', 2]]);
    });

    it('in a cookie of the usual attributes, whose value tells nothing', async () => {
      const answer = await ask(undefined, (session) => {
        session.set('diagnosis', 'what only the visitor may know');
        return {};
      });
      expect(answer.setCookies).toHaveLength(1);
      expect(answer.setCookies[0].split('; ').slice(1).sort()).toEqual(
        ['HttpOnly', `Max-Age=${30 * 86_400}`, 'Path=/', 'SameSite=Lax'].sort(),
      );
      const bytes = Buffer.from(pairOf(answer.setCookies[0]).slice('sessionid=1.1.'.length), 'base64url');
      expect(bytes.toString('latin1')).not.toMatch(/diagnosis|visitor/);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(answer.headers.get('vary')).toMatch(/cookie/i);
    });
  });

  describe('law 1: cost nothing unused', () => {
    it('no cookie for a session that was read, or emptied before it began', async () => {
      const answer = await ask(undefined, (session) => {
        session.set('views', 1).delete('views');
        return { views: session.get('views') ?? null };
      });
      expect(answer.setCookies).toEqual([]);
    });

    it('no cookie for whoever only reads, and no header for whoever never asks', async () => {
      const cookie = headerOf(await startSession());
      expect((await readViews(cookie)).setCookies).toEqual([]);
      const plain = await new Browser(app.url).get('/nowhere', { cookie });
      expect([plain.setCookies, plain.headers.get('vary')]).toEqual([[], null]);
    });
  });

  describe('law 2: the cookie leaves with the answer', () => {
    const answers: [string, string, Play, number][] = [
      ['a value', '/value', () => ({}), 200],
      [
        'an exception',
        '/value',
        () => {
          throw new HttpException('no', 422);
        },
        422,
      ],
      ['a raw end', '/raw', (_, { response }) => void response.writeHead(302, { location: '/' }).end(), 302],
      [
        'a stream',
        '/raw',
        (_, { response }) => {
          response.write('a');
          response.end('b');
        },
        200,
      ],
    ];
    it.each(answers)('of %s', async (_, path, respond, status) => {
      const answer = await ask(
        undefined,
        (session, scene) => {
          session.set('views', 7);
          return respond(session, scene);
        },
        { path },
      );
      expect(answer.status).toBe(status);
      expect((await readViews(headerOf(answer))).views).toBe(7);
    });

    it('beside the cookies of others, of whatever name', async () => {
      const answer = await ask(undefined, (session, { response }) => {
        response.setHeader('Set-Cookie', ['theme=dark; Path=/', 'sessionid2=x']);
        session.set('views', 1);
        return {};
      });
      expect(answer.setCookies.map(nameOf)).toEqual(['theme', 'sessionid2', 'sessionid']);
    });

    it('not after the first byte: save(), atomic() and flush() say so', async () => {
      const errors: unknown[] = [];
      const cookie = headerOf(await startSession());
      const warn = silenceLog();
      const answer = await ask(
        cookie,
        async (session, { response }) => {
          response.write('begun');
          await session.save(); // nothing changed: nothing to complain of
          session.set('views', 2);
          for (const late of [
            () => session.save(),
            () => session.atomic('views', (n) => n),
            () => session.flush(),
          ])
            await late().catch((error: unknown) => errors.push(error));
          response.end();
        },
        { path: '/raw' },
      );

      expect(errors).toEqual(Array(3).fill(expect.any(SessionHeadersSentError)));
      expect(answer.setCookies).toEqual([]);
      expect((await readViews(cookie)).views).toBe(1);
      expect(warn.mock.calls.join()).toContain('after its first byte');
    });
  });

  describe('law 3: destroy now, build at the end', () => {
    it('a server error undoes what was set, a client error keeps it', async () => {
      const cookie = headerOf(await startSession());
      const failed = (status: number) =>
        ask(cookie, (session) => {
          session.set('views', status);
          throw new HttpException('no', status);
        });
      expect((await failed(500)).setCookies).toEqual([]);
      expect((await readViews(headerOf(await failed(400)))).views).toBe(400);
    });

    it.each([200, 400, 500])('a flush takes the cookie away with an answer of %d', async (status) => {
      const cookie = headerOf(await startSession());
      const answer = await ask(cookie, async (session) => {
        await session.flush();
        if (status !== 200) throw new HttpException('no', status);
        return { isNew: session.isNew, views: session.get('views') ?? null };
      });
      expect(answer.setCookies).toHaveLength(1);
      expect(answer.setCookies[0]).toMatch(/^sessionid=; Max-Age=0; Path=\/; HttpOnly; SameSite=Lax$/);
      if (status === 200) expect(answer.json()).toEqual({ isNew: true, views: null });
    });

    it('a flush without a cookie sends none, and one before a new session sends the new one alone', async () => {
      const nothing = await ask(undefined, async (session) => {
        session.set('views', 1);
        await session.save();
        await session.flush();
        return {};
      });
      expect(nothing.setCookies).toEqual([]);

      const old = await startSession();
      const answer = await ask(headerOf(old), async (session) => {
        await session.flush();
        session.set('views', 5);
        return { handle: session.handle };
      });
      expect(answer.setCookies).toHaveLength(1);
      expect(open(answer.setCookies[0])?.record.handle).toBe(answer.json().handle);
      expect(answer.json().handle).not.toBe(open(old.setCookies[0])?.record.handle);
    });

    it('a session that was saved without a value is there, under its name', async () => {
      const answer = await ask(undefined, async (session) => {
        await session.save();
        return { handle: session.handle };
      });
      const after = await ask(headerOf(answer), ({ handle, isNew, isEmpty }) => ({ handle, isNew, isEmpty }));
      expect(after.json()).toEqual({ ...answer.json(), isNew: false, isEmpty: true });
    });

    it('a session that is emptied but not flushed is kept, and empty', async () => {
      const cookie = headerOf(await startSession());
      const answer = await ask(cookie, (session) => {
        session.clear();
        return {};
      });
      const after = await ask(headerOf(answer), ({ isNew, isEmpty }) => ({ isNew, isEmpty }));
      expect(after.json()).toEqual({ isNew: false, isEmpty: true });
    });
  });

  describe('law 7: only cookies of ours come in', () => {
    const planted = { userId: 'admin', values: { views: '99' }, expiresAt: 9e15, absoluteExpiresAt: 9e15 };
    const json = JSON.stringify(planted);
    const encoded = (encoding: BufferEncoding) => Buffer.from(json).toString(encoding);

    // CVE-2026-39324: whatever cannot be opened must not be read in another way.
    it.each([
      ['nothing', ''],
      ['a blank', ' '],
      ['null', 'null'],
      ['undefined', 'undefined'],
      ['plain JSON', encodeURIComponent(json)],
      ['base64 of JSON', encoded('base64')],
      ['base64url of JSON', encoded('base64url')],
      ['base64url of JSON in our form', `1.1.${encoded('base64url')}`],
      ['base64url of JSON in the form of another version', `2.1.${encoded('base64url')}`],
      ['a form of several cookies', `1.3.${encoded('base64url')}`],
      ['a signed id, as other stores have it', `${'a'.repeat(43)}.${'b'.repeat(43)}`],
    ])('%s is nothing', async (_, value) => {
      silenceLog();
      const answer = await readViews(`sessionid=${value}`);
      expect([answer.status, answer.views, answer.setCookies]).toEqual([200, null, []]);
    });

    it('with one character changed, one under another name, and one of another secret are nothing', async () => {
      const cookie = headerOf(await startSession());
      const value = cookie.slice('sessionid='.length);
      const at = Math.floor(cookie.length / 2);
      const changed = cookie.slice(0, at) + (cookie[at] === 'A' ? 'B' : 'A') + cookie.slice(at + 1);
      const stranger = await start({ session: { secret: OTHER_SECRET } });
      const renamed = await start({ session: { cookie: { name: 'other' } } });

      expect((await readViews(changed)).views).toBe(null);
      expect((await readViews(cookie, { of: stranger })).views).toBe(null);
      expect((await readViews(`other=${value}`, { of: renamed })).views).toBe(null);
      expect((await readViews(`__Host-sessionid=${value}`)).views).toBe(null);
      expect((await readViews(`a=1; x=${value}; b=${cookie}`)).views).toBe(null);
      expect((await readViews(cookie)).views).toBe(1);
    });

    it('one that cannot be opened is left alone by reads, and replaced by a write', async () => {
      const answer = await setViews('sessionid=1.1.garbage; sessionid.1=x', 3);
      expect(answer.setCookies.map((line) => [nameOf(line), isClearing(line)])).toEqual([
        ['sessionid', false],
        ['sessionid.1', true],
      ]);
    });

    it('two different living sessions: none is believed, and an event says so', async () => {
      const warn = silenceLog();
      const [one, two] = [await startSession(), await startSession()];
      const handles: unknown[] = [];
      const off = app
        .get<SessionEvents>(SessionEvents)
        .on('ambiguous', (event) => handles.push(...event.handles));
      const both = `${headerOf(one)}; ${headerOf(two)}`;
      const answer = await readViews(both);
      off();

      expect([answer.views, answer.setCookies]).toEqual([null, []]);
      expect(handles).toEqual([one, two].map((each) => open(each.setCookies[0])?.record.handle));
      expect(warn.mock.calls.flat().join()).toContain('several living sessions');

      const flushed = await ask(both, async (session) => {
        await session.flush();
        return {};
      });
      expect(flushed.setCookies.map(isClearing)).toEqual([true]);
    });

    it('a living and a dead one: the living counts', async () => {
      const dead = await ask(undefined, (session) => {
        session.set('views', 'dead');
        session.setExpiry(60);
        return {};
      });
      app.clock.advance('61s');
      const living = await startSession();
      expect((await readViews(`${headerOf(dead)}; ${headerOf(living)}`)).views).toBe(1);
    });

    it('two states of one session, from two paths: the later counts', async () => {
      const first = await startSession();
      app.clock.advance('1s');
      const second = await setViews(headerOf(first), 2);
      for (const both of [
        [first, second],
        [second, first],
      ])
        expect((await readViews(both.map(headerOf).join('; '))).views).toBe(2);
    });
  });

  describe('law 8: a new id for every cycle', () => {
    it('is sealed in, with the same data and the same handle', async () => {
      const first = await startSession();
      const second = await ask(headerOf(first), (session) => {
        session.cycleId();
        return {};
      });
      const [before, after] = [first, second].map((answer) => open(answer.setCookies[0]));
      expect(after?.id).not.toBe(before?.id);
      expect(after?.record.handle).toBe(before?.record.handle);
      expect(after?.record.values).toEqual(before?.record.values);
    });

    it('and a save keeps it', async () => {
      const first = await startSession();
      const second = await setViews(headerOf(first), 2);
      expect(open(second.setCookies[0])?.id).toBe(open(first.setCookies[0])?.id);
    });
  });

  describe('law 9: secrets stay secret', () => {
    it('in inspect, JSON and the log', async () => {
      const logged: unknown[] = [];
      for (const level of ['log', 'warn', 'error'] as const)
        jest
          .spyOn(Logger.prototype, level)
          .mockImplementation((...args: unknown[]) => void logged.push(args));
      const first = await ask(undefined, (session) => {
        session.set('secret', 'what only the visitor may know');
        return {};
      });
      const everything = { depth: 12, showHidden: true, showProxy: true } as const;
      const shown = await ask(headerOf(first), (session, { request }) => [
        inspect(session, everything),
        JSON.stringify(session),
        inspect(request, everything).replace(/'sessionid=[^']*'/g, ''),
      ]);
      await ask(headerOf(first), (session) => {
        session.set('secret', 'what only the visitor may know'.repeat(1000));
        return {};
      });

      const id = open(first.setCookies[0])?.id;
      const all = shown.text + inspect(logged, everything);
      expect(id).toHaveLength(43);
      expect(all).not.toContain(id);
      expect(all).not.toContain('only the visitor');
      expect(shown.text).toContain('handle');
    });

    it('in the store that is none', () => {
      const store = app.get<object>(SessionStore);
      expect(inspect(store, { depth: 12, showHidden: true })).not.toContain(SECRET);
    });
  });

  describe('law 10: deadlines hold on the server', () => {
    // CVE-2024-31999, CVE-2025-46344: a sealed cookie is good for no longer than it says inside.
    it('the idle one, whatever the browser says', async () => {
      const cookie = headerOf(await startSession());
      app.clock.advance('13d');
      expect((await readViews(cookie)).views).toBe(1);
      app.clock.advance('1d');
      expect((await readViews(cookie)).views).toBe(null);
    });

    it('the absolute one, which no new seal moves', async () => {
      let answer = await startSession();
      const end = open(answer.setCookies[0])?.record.absoluteExpiresAt;
      for (let day = 5; day < 30; day += 5) {
        app.clock.advance('5d');
        answer = await ask(headerOf(answer), (session) => {
          session.set('day', day).setExpiry('400d');
          if (day % 2) session.cycleId();
          return {};
        });
        expect(open(answer.setCookies[0])?.record.absoluteExpiresAt).toBe(end);
        expect(answer.setCookies[0]).toContain(`Max-Age=${((30 - day) * DAY_MS) / 1000}`);
      }
      app.clock.advance('5d');
      expect((await readViews(headerOf(answer))).views).toBe(null);
    });

    it('of an old copy, played again after a logout: until then it is good', async () => {
      const stolen = headerOf(await startSession());
      await ask(stolen, async (session) => {
        await session.flush();
        return {};
      });
      expect((await readViews(stolen)).views).toBe(1); // there is no server state that could know
      app.clock.advance('14d');
      expect((await readViews(stolen)).views).toBe(null);
    });

    it('a longer timeout does not lengthen what is sealed already', async () => {
      const cookie = headerOf(await startSession());
      const generous = await start({
        session: { idleTimeout: '300d', absoluteTimeout: '400d' },
      });
      app.clock.advance('14d');
      expect((await readViews(cookie, { of: generous })).views).toBe(null);
    });

    it('a request that only reads moves the idle one, at most once per touchEvery', async () => {
      const first = await startSession();
      app.clock.advance('299s');
      expect((await readViews(headerOf(first))).setCookies).toEqual([]);
      app.clock.advance('1s');
      const touched = await readViews(headerOf(first));
      expect(touched.setCookies).toHaveLength(1);
      expect((await readViews(headerOf(touched))).setCookies).toEqual([]);

      const [before, after] = [first, touched].map((answer) => open(answer.setCookies[0])?.record);
      expect(Number(after?.expiresAt) - Number(before?.expiresAt)).toBe(300_000);
      expect(after?.absoluteExpiresAt).toBe(before?.absoluteExpiresAt);
    });

    it('setExpiry: a date, the browser, a past date', async () => {
      const expiry = (to: Parameters<AnySession['setExpiry']>[0]) => async () =>
        ask(headerOf(await startSession()), (session) => {
          session.setExpiry(to);
          return {};
        });
      const soon = new Date(app.clock.now() + 60_000);
      expect((await expiry(soon)()).setCookies[0]).toContain('Max-Age=60;');
      expect((await expiry('browser')()).setCookies[0]).not.toContain('Max-Age');
      expect((await expiry(new Date(0))()).setCookies.map(isClearing)).toEqual([true]);
    });
  });

  describe('law 11 and maxSize', () => {
    it('refuse what is no JSON, and what is too large, before anything is sent', async () => {
      const cookie = headerOf(await startSession());
      const small = await start({ session: { maxSize: 1000 } });
      const errors: unknown[] = [];
      const answer = await ask(
        cookie,
        async (session) => {
          try {
            session.set('when', new Date());
          } catch (error) {
            errors.push(error);
          }
          session.set('text', 'x'.repeat(1000));
          await session.save().catch((error: unknown) => errors.push(error));
          throw new HttpException('no', 500);
        },
        { of: small },
      );
      expect(errors.map(String)).toEqual([
        expect.stringContaining('when is a Date'),
        expect.stringContaining('maxSize is 1000'),
      ]);
      expect(answer.setCookies).toEqual([]);
    });
  });

  describe('law 13: mistakes are told at start-up', () => {
    it.each([0, 17, 1.5, '4'])('chunks: %p', async (chunks) => {
      const store = EncryptedCookieSessions.with({ chunks: chunks as number });
      await expect(start({ store })).rejects.toThrow(/chunks is a whole number from 1 to 16/);
      await expect(start({ store })).rejects.toThrow(SessionOptionsError);
    });

    it('compress: "yes"', async () => {
      const store = EncryptedCookieSessions.with({ compress: 'yes' as never });
      await expect(start({ store })).rejects.toThrow('compress is true or false');
    });
  });

  describe('law 14: bad data is no crash', () => {
    const record: SessionRecord = {
      ...{ format: 1, handle: 'a'.repeat(32), createdAt: 1, lastSeenAt: 1, policy: '' },
      ...{ expiresAt: 9e15, absoluteExpiresAt: 9e15, values: { views: '{not json', lang: '"en"' } },
    };

    it('a value that cannot be read is none, and an event says so', async () => {
      const warn = silenceLog();
      const corrupt: unknown[] = [];
      const off = app.get<SessionEvents>(SessionEvents).on('corrupt', (event) => corrupt.push(event));
      const answer = await ask(seal(record), (session) => ({
        views: session.get('views') ?? null,
        lang: session.get('lang'),
      }));
      off();

      expect(answer.json()).toEqual({ views: null, lang: 'en' });
      expect(corrupt).toEqual([{ handle: record.handle }]);
      expect(warn).toHaveBeenCalledTimes(1);
    });

    it('a record of a newer release is a 503 and an event, and the cookie stays', async () => {
      silenceLog();
      const newer: unknown[] = [];
      const off = app.get<SessionEvents>(SessionEvents).on('newerFormat', (event) => newer.push(event));
      const answers = [
        await readViews(seal({ ...record, format: 2 })),
        await setViews(seal({ ...record, format: 2 }), 1),
      ];
      off();

      expect(answers.map(({ status, setCookies }) => [status, setCookies])).toEqual(Array(2).fill([503, []]));
      expect(newer).toEqual(Array(2).fill({ handle: record.handle, format: 2 }));
      expect(answers[0].text).not.toContain(record.handle);
    });

    it('a record of a newer release that others sealed is nothing', async () => {
      const foreign = seal({ ...record, format: 2 }, { secret: OTHER_SECRET });
      expect((await readViews(foreign)).views).toBe(null);
    });
  });

  describe('under a new secret', () => {
    it('are read with the old one, and sealed with the first at the next save or touch', async () => {
      const rotated = await start({ session: { secret: [OTHER_SECRET, SECRET] } });
      const old = headerOf(await startSession());

      expect(await readViews(old, { of: rotated })).toMatchObject({ views: 1, setCookies: [] });
      const saved = await setViews(old, 2, { of: rotated });
      app.clock.advance('5m');
      const touched = await readViews(old, { of: rotated });
      for (const answer of [saved, touched]) {
        expect(open(answer.setCookies[0])).toBeUndefined();
        expect(open(answer.setCookies[0], 'sessionid', OTHER_SECRET)).toBeDefined();
        expect((await readViews(headerOf(answer))).views).toBe(null);
      }
    });
  });

  describe('that are large', () => {
    const fill = (cookie: string | undefined, bytes: number, options = {}) =>
      setViews(cookie, randomText(bytes), options);

    it('are cut into cookies of at most 4,096 bytes, and come back whole', async () => {
      const browser = new Browser(app.url);
      let text = '';
      stage.play = ({ session }) => {
        if (text) session.set('views', text);
        return { length: String(session.get('views')).length };
      };
      for (const bytes of [2_000, 5_000, 9_000, 4_000, 100]) {
        text = randomText(bytes);
        const answer = await browser.post('/value');
        expect(answer.status).toBe(200);
        for (const line of answer.setCookies) expect(line.length).toBeLessThanOrEqual(4096);
        text = '';
        expect((await browser.post('/value')).json()).toEqual({ length: bytes });
        const names = (await browser.jar.getCookies(browser.origin)).map(({ key }) => key);
        expect(names).toHaveLength(Math.ceil((bytes * 1.34 + 400) / 4_000));
      }
    });

    it('have their left-over cookies taken away when they shrink, and all at a flush', async () => {
      const large = await fill(undefined, 9_000);
      expect(large.setCookies.map(nameOf)).toEqual([
        'sessionid',
        'sessionid.1',
        'sessionid.2',
        'sessionid.3',
      ]);

      const small = await fill(headerOf(large), 100);
      expect(small.setCookies.map((line) => [nameOf(line), isClearing(line)])).toEqual([
        ['sessionid', false],
        ['sessionid.1', true],
        ['sessionid.2', true],
        ['sessionid.3', true],
      ]);
      const flushed = await ask(headerOf(large), async (session) => {
        await session.flush();
        return {};
      });
      expect(flushed.setCookies.map(nameOf)).toEqual(large.setCookies.map(nameOf));
      expect(flushed.setCookies.every(isClearing)).toBe(true);
    });

    it('keep the prefix in front of every name on HTTPS', async () => {
      const proxied = await start({ trustsProxy: true });
      const answer = await fill(undefined, 5_000, { of: proxied, headers: { 'x-forwarded-proto': 'https' } });
      expect(answer.setCookies.map(nameOf)).toEqual(['__Host-sessionid', '__Host-sessionid.1']);
      expect(answer.setCookies.every((line) => line.includes('; Secure'))).toBe(true);
      const back = await readViews(headerOf(answer), {
        of: proxied,
        headers: { 'x-forwarded-proto': 'https' },
      });
      expect(String(back.views)).toHaveLength(5_000);
    });

    it('are nothing when cookies of two answers are mixed, and a warning says what to look for', async () => {
      const warn = silenceLog();
      const of = await start();
      const first = await fill(undefined, 5_000);
      const second = await fill(headerOf(first), 5_000);
      const [a, b] = [first, second].map((answer) => answer.setCookies.map(pairOf));

      expect((await readViews(`${a[0]}; ${b[1]}`, { of })).views).toBe(null);
      expect((await readViews(a[0], { of })).views).toBe(null);
      expect((await readViews(`${a[1]}; ${a[0]}`, { of })).views).not.toBe(null);
      expect(warn.mock.calls.flat().filter((text) => String(text).includes('several cookies'))).toHaveLength(
        1,
      );
    });

    it('are nothing when one cookie is cut into two: their number is authenticated', async () => {
      const cookie = headerOf(await startSession());
      const text = cookie.slice('sessionid=1.1.'.length);
      const cut = (count: number) =>
        `sessionid=1.${count}.${text.slice(0, 50)}; sessionid.1=${text.slice(0, 8)}.${text.slice(50)}`;

      expect((await readViews(cut(2))).views).toBe(null);
      expect((await readViews(`sessionid=1.2.${text}; sessionid.1=${text.slice(0, 8)}.`)).views).toBe(null);
      expect((await readViews(cookie)).views).toBe(1);
    });

    it('and too large are an error that names the largest values, and nothing is sent', async () => {
      const caught: unknown[] = [];
      const cookie = headerOf(await startSession());
      const answer = await ask(cookie, async (session) => {
        session.set('picture', randomText(11_000)).set('tiny', 1).set('letter', randomText(500));
        await session.save().catch((error: unknown) => caught.push(error));
        return session.save();
      });

      expect([answer.status, answer.setCookies]).toEqual([500, []]);
      expect(caught).toEqual([expect.any(SessionTooLargeError)]);
      expect(String(caught[0])).toMatch(
        /needs \d+ bytes of cookies, there is room for \d+ \(Node's limit for a request's headers\).* Largest values: picture \(11009 bytes\), letter \(508 bytes\), /,
      );
      expect((await readViews(cookie)).views).toBe(1);
    });

    it('and too large after a save leave what was saved', async () => {
      const answer = await ask(undefined, async (session) => {
        session.set('views', 1);
        await session.save();
        session.set('views', randomText(20_000));
        await session.save();
      });
      expect(answer.status).toBe(500);
      expect((await readViews(headerOf(answer))).views).toBe(1);
    });

    it('have as many cookies as the options say', async () => {
      const one = await start({ store: EncryptedCookieSessions.with({ chunks: 1 }) });
      expect((await fill(undefined, 2_400, { of: one })).setCookies).toHaveLength(1);
      const errors: unknown[] = [];
      const answer = await ask(
        undefined,
        (session) => {
          session.set('views', randomText(3_000));
          return session.save().catch((error: unknown) => void errors.push(String(error)));
        },
        { of: one },
      );
      expect([answer.status, answer.setCookies]).toEqual([500, []]);
      expect(errors).toEqual([expect.stringMatching(/room for 40\d\d \(chunks: 1\).*views \(3007 bytes\)/)]);
    });

    it('never grow so large that Node refuses the request that brings them', async () => {
      const many = await start({ store: EncryptedCookieSessions.with({ chunks: 16 }) });
      let largest: Answer | undefined;
      for (let bytes = 9_000; bytes < 13_000; bytes += 100) {
        const answer = await fill(undefined, bytes, { of: many });
        if (answer.status !== 200) break;
        largest = answer;
      }
      const browserHeaders = { 'user-agent': 'u'.repeat(300), referer: 'r'.repeat(700) };
      const back = await readViews(headerOf(largest as Answer), { of: many, headers: browserHeaders });
      expect(back.status).toBe(200);
      expect(String(back.views).length).toBeGreaterThan(9_500);
    });

    it('are read by a release that allows fewer cookies, which does not fail whoever only reads', async () => {
      const warn = silenceLog();
      const one = await start({ store: EncryptedCookieSessions.with({ chunks: 1 }) });
      const cookie = headerOf(await fill(undefined, 5_000));
      app.clock.advance('10m');
      const answer = await readViews(cookie, { of: one });
      expect([answer.status, String(answer.views).length, answer.setCookies]).toEqual([200, 5_000, []]);
      expect(warn.mock.calls.flat().join()).toContain('A deadline was not moved');
    });

    it('need less room with compress, and are read with and without it', async () => {
      const packing = await start({ store: EncryptedCookieSessions.with({ compress: true }) });
      const text = 'so much tea '.repeat(1500);
      const answer = await setViews(undefined, text, { of: packing });
      expect(answer.setCookies).toHaveLength(1);
      expect((await setViews(undefined, text)).status).toBe(500);
      expect((await readViews(headerOf(answer))).views === text).toBe(true);
      expect((await readViews(headerOf(await startSession()), { of: packing })).views).toBe(1);
    });
  });

  describe('cannot keep', () => {
    /** Two requests of one session at the same time; the first to come is the last to answer. */
    const overlap = async (cookie: string, slow: Play, fast: Play) => {
      const { promise: isOver, resolve: finish } = withResolvers();
      const { promise: isRunning, resolve: begin } = withResolvers();
      const late = ask(cookie, async (session, scene) => {
        begin();
        await isOver;
        return slow(session, scene);
      });
      await isRunning;
      const early = await ask(cookie, fast);
      finish();
      return { early, late: await late };
    };

    it('law 4: of two requests at once the later answer wins, whole', async () => {
      const first = headerOf(await startSession());
      const { early, late } = await overlap(
        first,
        (session) => {
          session.set('slow', true);
          return {};
        },
        (session) => {
          session.set('fast', true);
          return {};
        },
      );
      const keysOf = async (answer: Answer) =>
        (await ask(headerOf(answer), (session) => [...session.keys()])).json();
      expect(await keysOf(early)).toEqual(['views', 'fast']);
      expect(await keysOf(late)).toEqual(['views', 'slow']);
    });

    it('laws 5 and 6: a slow request that writes brings back what a logout ended; one that reads does not', async () => {
      const logout: Play = async (session) => {
        await session.flush();
        return {};
      };
      const first = headerOf(await startSession());
      const writing = await overlap(first, (session) => ({ was: session.pop('views') }), logout);
      expect(writing.early.setCookies.map(isClearing)).toEqual([true]);
      expect(writing.late.setCookies.map(isClearing)).toEqual([false]);

      const reading = await overlap(first, (session) => ({ was: session.get('views') }), logout);
      expect(reading.late.setCookies).toEqual([]);
    });
  });

  it('are withheld on plain HTTP where they have to be Secure, with one warning', async () => {
    const warn = silenceLog();
    const secure = await start({ session: { cookie: { secure: true } }, trustsProxy: true });
    const first = await startSession({ of: secure, headers: { 'x-forwarded-proto': 'https' } });
    const warnings = () => warn.mock.calls.flat().filter((text) => String(text).includes('plain HTTP'));
    for (const cookie of [headerOf(first), undefined]) {
      const answer = await setViews(cookie, 2, { of: secure });
      expect([answer.status, answer.setCookies]).toEqual([200, []]);
      expect(warnings()).toHaveLength(1);
    }
  });

  it('are loaded before guards with load: eager', async () => {
    const eager = await start({ session: { load: 'eager' } });
    const cookie = headerOf(await startSession());
    expect((await readViews(cookie, { of: eager })).views).toBe(1);
  });

  it('give way to any store that a test puts in their place', async () => {
    const stored = await start({
      override: (builder) => builder.overrideProvider(SessionStore).useClass(MemorySessionStore),
    });
    const answer = await startSession({ of: stored });
    const store = stored.get<MemorySessionStore>(SessionStore);
    expect(store).toBeInstanceOf(MemorySessionStore);
    expect(await store.count()).toBe(1);
    expect(pairOf(answer.setCookies[0])).toMatch(/^sessionid=[\w-]{43}\.[\w-]{43}$/);
    expect((await readViews(headerOf(answer), { of: stored })).views).toBe(1);
  });

  it('take the place of a store that a test overrides with them', async () => {
    const stored = await start({
      store: MemorySessionStore,
      override: (builder) => builder.overrideProvider(SessionStore).useClass(EncryptedCookieSessions),
    });
    expect(open((await startSession({ of: stored })).setCookies[0])).toBeDefined();
  });
});

function randomText(length: number): string {
  return Array.from({ length }, () => Math.floor(Math.random() * 36).toString(36)).join('');
}

function withResolvers() {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
