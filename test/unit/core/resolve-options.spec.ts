import { type ResolvedSessionOptions, resolveOptions } from '../../../lib/options/resolve-options.js';
import { jsonSerializer } from '../../../lib/core/serializer.js';
import { SessionOptionsError } from '../../../lib/errors.js';
import type { SessionCookieOptions, SessionOptions } from '../../../lib/session-options.js';

const secret = 'a secret for tests, of more than 32 characters';
const DAY = 86_400_000;

const resolve = (options: object = {}): ResolvedSessionOptions => resolveOptions({ secret, ...options });

const problemsOf = (options: object, hasStore = true): readonly string[] => {
  try {
    resolveOptions(options as SessionOptions, hasStore);
  } catch (error) {
    if (error instanceof SessionOptionsError) return error.problems;
    throw error;
  }
  return [];
};
const problems = (options: object) => problemsOf({ secret, ...options });
const cookieProblems = (cookie: object) => problems({ cookie });

describe('resolveOptions', () => {
  it('fills in the defaults', () => {
    expect(resolve().secrets).toEqual([secret]);
    expect(resolve()).toEqual({
      idleTimeoutMs: 14 * DAY,
      absoluteTimeoutMs: 30 * DAY,
      touchEveryMs: 300_000,
      saveEveryRequest: false,
      unconfirmedTimeoutMs: undefined,
      rotationGraceMs: 30_000,
      storeTimeoutMs: 5_000,
      maxSize: 262_144,
      load: 'lazy',
      serializer: jsonSerializer,
      debug: false,
      alwaysHttps: false,
      persistent: true,
      sweep: { everyMs: 3_600_000, batchSize: 1_000, pauseMs: 50 },
      cookie: {
        ...{ name: undefined, domain: undefined, priority: undefined },
        ...{
          path: '/',
          secure: 'auto',
          sameSite: 'lax',
          httpOnly: true,
          partitioned: false,
          persistent: true,
        },
      },
      csrf: { isGlobal: false, trustedOrigins: new Set(), everyone: false, requireToken: false },
    });
  });

  it.each([
    [true, { isGlobal: true }],
    [false, { isGlobal: false }],
    [{}, { isGlobal: true }],
    [
      { everyone: true, requireToken: true },
      { isGlobal: true, everyone: true, requireToken: true },
    ],
    [
      { trustedOrigins: undefined, everyone: undefined },
      { isGlobal: true, everyone: false },
    ],
  ])('takes csrf: %j', (csrf, expected) => {
    expect(resolve({ csrf }).csrf).toMatchObject(expected);
  });

  it('takes undefined for not written', () => {
    const nothing = Object.fromEntries(
      [
        'idleTimeout',
        'absoluteTimeout',
        'touchEvery',
        'rotationGrace',
        'storeTimeout',
        'maxSize',
        'load',
        'csrf',
        'sweep',
      ].map((name) => [name, undefined]),
    );
    const cookie = { name: undefined, path: undefined, secure: undefined, httpOnly: undefined };

    expect(resolve({ ...nothing, serializer: undefined, cookie })).toEqual(resolve());
  });

  it('gives what nobody can change', () => {
    const resolved = resolve({ cookie: {} });
    expect([resolved, resolved.cookie, resolved.sweep].map(Object.isFrozen)).toEqual([true, true, true]);
  });

  describe('the default timeouts adapt to the one that was written', () => {
    it.each([
      ['a short absolute one shortens the idle one', { absoluteTimeout: '1d' }, 1, 1],
      ['a long idle one lengthens the absolute one', { idleTimeout: '90d' }, 90, 90],
      ['a short idle one changes nothing else', { idleTimeout: '1d' }, 1, 30],
      ['a long absolute one changes nothing else', { absoluteTimeout: '90d' }, 14, 90],
      ['two that fit are taken as they are', { idleTimeout: '20d', absoluteTimeout: '21d' }, 20, 21],
      ['two that are equal fit', { idleTimeout: '20d', absoluteTimeout: '20d' }, 20, 20],
    ])('%s', (_, options, idle, absolute) => {
      const { idleTimeoutMs, absoluteTimeoutMs } = resolve(options);
      expect([idleTimeoutMs / DAY, absoluteTimeoutMs / DAY]).toEqual([idle, absolute]);
    });

    it('touchEvery is a tenth of the idle timeout, and at most 5 minutes', () => {
      expect(resolve({ idleTimeout: '10m' }).touchEveryMs).toBe(60_000);
      expect(resolve({ idleTimeout: '51m' }).touchEveryMs).toBe(300_000);
      expect(resolve({ absoluteTimeout: '10m' }).touchEveryMs).toBe(60_000);
    });
  });

  it('takes numbers for seconds, and texts with a unit', () => {
    expect(
      resolve({ idleTimeout: 60, absoluteTimeout: '2m', storeTimeout: 0.5, rotationGrace: 0 }),
    ).toMatchObject({
      ...{ idleTimeoutMs: 60_000, absoluteTimeoutMs: 120_000, storeTimeoutMs: 500, rotationGraceMs: 0 },
    });
  });

  it('takes several secrets, the first for signing', () => {
    const secrets = [secret, `old ${secret}`];
    expect(resolve({ secret: secrets }).secrets).toEqual(secrets);
  });

  describe('tells a mistake, and what to write instead', () => {
    it.each<[object, RegExp]>([
      [
        { secret: undefined },
        /^secret is missing: print a good one with `npx nest-session secret` and keep it/,
      ],
      [{ secret: null }, /^secret is missing/],
      [{ secret: [] }, /^secret is missing/],
      [{ secret: '' }, /^secret has fewer than 32 characters: print a good one/],
      [{ secret: 'x'.repeat(31) }, /^secret has fewer than 32 characters/],
      [{ secret: [secret, 'short'] }, /^secret\[1\] has fewer than 32 characters/],
      [{ secret: [secret, 7] }, /^secret\[1\] is not a string/],
      [{ secret: Buffer.alloc(32) }, /^secret is not a string/],
      [
        { idleTimeout: '10' },
        /^idleTimeout is no duration: write seconds as a number, or a text with a unit/,
      ],
      [{ idleTimeout: 0 }, /^idleTimeout is no duration/],
      [{ idleTimeout: 'soon' }, /^idleTimeout is no duration/],
      [{ idleTimeout: null }, /^idleTimeout is no duration/],
      [{ absoluteTimeout: -1 }, /^absoluteTimeout is no duration/],
      [{ storeTimeout: 0 }, /^storeTimeout is no duration/],
      [{ storeTimeout: NaN }, /^storeTimeout is no duration/],
      [{ rotationGrace: '30' }, /^rotationGrace is no duration/],
      [
        { idleTimeout: '2d', absoluteTimeout: '1d' },
        /^absoluteTimeout is shorter than idleTimeout: swap them/,
      ],
      [{ idleTimeout: '1m', touchEvery: '1m' }, /^touchEvery is not shorter than idleTimeout: .* a tenth/],
      [
        { idleTimeout: '1h', unconfirmedTimeout: '1h' },
        /^unconfirmedTimeout is not shorter than idleTimeout: .* leave it out/,
      ],
      [{ unconfirmedTimeout: '15d' }, /^unconfirmedTimeout is not shorter/],
      [{ unconfirmedTimeout: 0 }, /^unconfirmedTimeout is no duration/],
      [{ saveEveryRequest: 'yes' }, /^saveEveryRequest is true or false/],
      [
        { saveEveryRequest: true, touchEvery: '1m' },
        /^saveEveryRequest writes at every request, touchEvery .* leave one/,
      ],
      [{ maxSize: 0 }, /^maxSize is a number of bytes: write 262144/],
      [{ maxSize: '256kb' }, /^maxSize is a number of bytes/],
      [{ maxSize: 1.5 }, /^maxSize is a number of bytes/],
      [{ sweep: true }, /^sweep is false, or an object: write \{ every: '1h' \}/],
      [{ sweep: '1h' }, /^sweep is false, or an object/],
      [{ sweep: { every: '30' } }, /^sweep.every is no duration: write seconds as a number/],
      [{ sweep: { every: 0 } }, /^sweep.every is no time at all: write '1h', or sweep: false/],
      [{ sweep: { every: '21d' } }, /^sweep.every is longer than timers go: write '20d' or less/],
      [{ sweep: { pause: -1 } }, /^sweep.pause is no duration/],
      [{ sweep: { pause: '30d' } }, /^sweep.pause is longer than timers go/],
      [{ sweep: { batchSize: 0 } }, /^sweep.batchSize is a number of sessions: write 1000/],
      [{ sweep: { batchSize: '1000' } }, /^sweep.batchSize is a number of sessions/],
      [
        { sweep: { interval: '1h' } },
        /^sweep.interval is not an option: the options are every, batchSize, pause/,
      ],
      [{ load: 'always' }, /^load is 'lazy' or 'eager'/],
      [{ serializer: { ...jsonSerializer, accepts: true } }, /^serializer.accepts is a function/],
      [{ serializer: {} }, /^serializer needs two functions: \{ stringify, parse \}/],
      [{ resave: false }, /^resave is not an option: leave it out, nothing is saved that did not change/],
      [{ saveUninitialized: true }, /^saveUninitialized is not an option: leave it out/],
      [{ rolling: true }, /^rolling is not an option: .*touchEvery/],
      [{ maxAge: 1 }, /^maxAge is not an option: write idleTimeout and absoluteTimeout/],
      [{ name: 'sid' }, /^name is not an option: write cookie: \{ name \}/],
      [{ idleTimout: 1 }, /^idleTimout is not an option: the options are .*idleTimeout/],
    ])('%j', (options, message) => {
      const told = problems(options);
      expect(told).toHaveLength(1);
      expect(told[0]).toMatch(message);
    });

    it.each<[SessionCookieOptions | object, RegExp]>([
      [{ name: '' }, /^cookie.name has characters that a cookie name cannot have/],
      [{ name: 'a b' }, /^cookie.name has characters/],
      [{ name: 'a;b' }, /^cookie.name has characters/],
      [{ name: 'a=b' }, /^cookie.name has characters/],
      [{ name: 'a,b' }, /^cookie.name has characters/],
      [{ name: 'a\nb' }, /^cookie.name has characters/],
      [{ name: 'ü' }, /^cookie.name has characters/],
      [{ path: 'app' }, /^cookie.path must begin with \//],
      [{ path: '/;secure' }, /^cookie.path must begin with \/ and have no control characters/],
      [{ path: '/\r\nX: 1' }, /^cookie.path must begin with/],
      [{ path: '/a,b' }, /^cookie.path must begin with/],
      [{ path: 5 }, /^cookie.path must begin with/],
      [{ domain: 'a b' }, /^cookie.domain is no host name: write 'example.com'/],
      [{ domain: 'example.com;secure' }, /^cookie.domain is no host name/],
      [{ domain: 'https://example.com' }, /^cookie.domain is no host name/],
      [{ domain: '' }, /^cookie.domain is no host name/],
      [{ secure: 'yes' }, /^cookie.secure is true, false or 'auto'/],
      [{ sameSite: true }, /^cookie.sameSite is 'lax', 'strict' or 'none'/],
      [{ sameSite: 'Lax' }, /^cookie.sameSite is 'lax', 'strict' or 'none'/],
      [{ priority: 'urgent' }, /^cookie.priority is 'low', 'medium' or 'high'/],
      [{ sameSite: 'none' }, /^cookie.sameSite 'none' needs cookie.secure true/],
      [{ sameSite: 'none', secure: false }, /^cookie.sameSite 'none' needs cookie.secure true/],
      [{ partitioned: true }, /^cookie.partitioned needs cookie.secure true/],
      [
        { name: '__Host-sid', domain: 'example.com', secure: true },
        /^cookie.name __Host-sid excludes cookie.domain/,
      ],
      [{ name: '__Host-sid', path: '/app', secure: true }, /^cookie.name __Host-sid needs cookie.path '\/'/],
      [{ name: '__Host-sid', secure: false }, /^cookie.name __Host-sid needs cookie.secure true/],
      [{ name: '__Secure-sid', secure: false }, /^cookie.name __Secure-sid needs cookie.secure true/],
      [
        { name: '__Http-sid', secure: true, httpOnly: false },
        /^cookie.name __Http-sid needs cookie.httpOnly true/,
      ],
      [
        { name: '__Host-Http-sid', secure: true, httpOnly: false },
        /^cookie.name __Host-Http-sid needs cookie.httpOnly/,
      ],
      // Browsers compare prefixes case-insensitively (RFC 6265bis, 4.1.3), and refuse these as well.
      [
        { name: '__host-sid', domain: 'example.com', secure: true },
        /^cookie.name __host-sid excludes cookie.domain/,
      ],
      [{ name: '__SECURE-sid', secure: false }, /^cookie.name __SECURE-sid needs cookie.secure true/],
      [{ maxAge: 1 }, /^cookie.maxAge is not an option: write idleTimeout and absoluteTimeout beside cookie/],
      [{ expires: new Date() }, /^cookie.expires is not an option: write absoluteTimeout/],
      [{ signed: true }, /^cookie.signed is not an option: leave it out/],
      [{ samesite: 'lax' }, /^cookie.samesite is not an option: the options are .*sameSite/],
    ])('cookie: %j', (cookie, message) => {
      const told = cookieProblems(cookie);
      expect(told).toHaveLength(1);
      expect(told[0]).toMatch(message);
    });

    it('a store that is missing', () => {
      expect(problemsOf({ secret }, false)).toEqual([
        expect.stringMatching(/^store is missing: write store:/),
      ]);
    });

    it('all of them in one message', () => {
      const options = {
        ...{
          secret: 'short',
          idleTimeout: '2d',
          absoluteTimeout: '1d',
          storeTimeout: 'x',
          maxSize: -1,
          load: 'x',
        },
        ...{
          resave: true,
          cookie: { name: 'a b', path: 'x', sameSite: 'none', partitioned: true, maxAge: 1 },
        },
      };
      const told = problemsOf(options, false);

      expect(told.map((each) => each.split(' ')[0]).sort()).toEqual(
        [
          ...['absoluteTimeout', 'cookie.maxAge', 'cookie.name', 'cookie.partitioned', 'cookie.path'],
          ...['cookie.sameSite', 'load', 'maxSize', 'resave', 'secret', 'store', 'storeTimeout'],
        ].sort(),
      );
      const { message } = new SessionOptionsError(told);
      for (const each of told) expect(message).toContain(`\n  - ${each}`);
    });

    it('without the secret itself', () => {
      expect(problemsOf({ secret: 'hunter2', secrets: ['hunter2'] }).join()).not.toContain('hunter2');
    });
  });

  it.each([
    [
      { every: 60, batchSize: 10, pause: 0 },
      { everyMs: 60_000, batchSize: 10, pauseMs: 0 },
    ],
    [{ every: '10m' }, { everyMs: 600_000, batchSize: 1_000, pauseMs: 50 }],
    [
      { every: undefined, batchSize: undefined, pause: undefined },
      { everyMs: 3_600_000, batchSize: 1_000, pauseMs: 50 },
    ],
    [false, false],
  ])('takes sweep %j', (sweep, expected) => {
    expect(resolve({ sweep }).sweep).toEqual(expected);
  });

  it.each<SessionCookieOptions>([
    { name: '__Host-sid', secure: true },
    { name: '__Host-sid' },
    { name: '__Secure-sid', domain: 'example.com' },
    { name: 'sid', domain: '.example.com', path: '/app' },
    { sameSite: 'none', secure: true, partitioned: true },
    { secure: false, httpOnly: false, sameSite: 'strict', priority: 'high', persistent: false },
    { name: "!#$%&'*+-.^_`|~09azAZ" },
  ])('takes cookie %j', (cookie) => {
    expect(cookieProblems(cookie)).toEqual([]);
    expect(resolve({ cookie }).cookie).toMatchObject(cookie);
  });
});
