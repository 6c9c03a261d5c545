import { jest } from '@jest/globals';
import { Controller, Logger, Post, Query } from '@nestjs/common';
import {
  Authenticated,
  MemorySessionStore,
  Session,
  SessionAuth,
  SessionEvents,
  SessionStore,
} from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, SECRET, startApp, type TestApp } from '../support/http-app.js';
import { keyOfCookie } from '../support/laws.js';
import { AppUsers, loggedIn, newPerson, People, type Person, personOf } from '../support/people.js';
import type { AnySession } from '../support/stage.js';

/** What went wrong elsewhere (docs/security.md), where no other test shows that it does not happen here. */

const WRITES = ['create', 'save', 'delete', 'touch', 'rename', 'atomic'] as const;

@Controller()
class Values {
  constructor(private readonly auth: SessionAuth<Person>) {}

  @Post('delete-last')
  deleteLast(@Session() session: AnySession) {
    session.delete('cart');
    return { size: session.size };
  }

  @Post('expire')
  expire(@Session() session: AnySession, @Query('at') at: string) {
    session.setExpiry(at === 'past' ? new Date(0) : at);
    return {};
  }

  @Post('login-by-provider')
  async loginByProvider(@Session() session: AnySession, @Query() { user, at }: { user: string; at: string }) {
    await this.auth.login(session, personOf(user), { authenticatedAt: new Date(Number(at)) });
    return {};
  }

  @Post('recent')
  @Authenticated({ within: '10m' })
  recent() {
    return {};
  }

  @Post('strong')
  @Authenticated({ within: '10m', level: 2 })
  strong() {
    return {};
  }

  @Post('confirm-again')
  async confirmAgain(@Session() session: AnySession) {
    await this.auth.confirm(session);
    return {};
  }

  @Post('confirm-password')
  async confirmPassword(@Session() session: AnySession) {
    await this.auth.confirm(session, { level: 1 });
    return {};
  }
}

describe.each(platforms)('what went wrong elsewhere, on %s', (platform) => {
  let app: TestApp;
  let store: MemorySessionStore;
  const session = { auth: { users: AppUsers } };
  const controllers = [People, Values];

  beforeAll(async () => {
    app = await startApp({ platform, controllers, session });
    store = app.get<MemorySessionStore>(SessionStore);
  });
  afterAll(() => app.close());
  afterEach(() => jest.restoreAllMocks());

  const visitor = () => new Browser(app.url);
  const spyOnWrites = () => WRITES.map((command) => jest.spyOn(store, command));

  // CVE-2023-30861, CVE-2026-27205 (Flask), CVE-2026-35192 (Django), CVE-2025-64762 (authkit)
  describe('caches keep out beside each Set-Cookie:', () => {
    const bob = newPerson('Bob');
    const moves: [string, string][] = [
      ['a login', `/login?user=${bob.id}`],
      ['a login as somebody else', `/login?user=${newPerson('Cy').id}`],
      ['a first factor', `/first-factor?user=${newPerson('Di').id}`],
      ['a confirmation', '/confirm'],
      ['a new password', '/password?to=another'],
      ['a cycle', '/cycle'],
      ['another lifetime', '/expire?at=browser'],
      ['a past expiry', '/expire?at=past'],
      ['a flush', '/flush'],
      ['a logout', '/logout'],
      ['a logout before a 5xx', '/logout-then-500'],
    ];

    it.each(moves)('%s', async (_, path) => {
      const { headers, setCookies } = await (await loggedIn(visitor(), newPerson())).post(path);

      expect(setCookies).toEqual([expect.stringMatching(/^sessionid=/)]);
      expect([headers.get('vary'), headers.get('cache-control')]).toEqual(['Cookie', 'no-store']);
    });

    it('one that is issued anew under another secret, also where the page only reads', async () => {
      const browser = await loggedIn(visitor(), newPerson());
      const cookie = `sessionid=${await browser.cookie('sessionid')}`;
      const secret = ['a new secret, of more than 32 characters', SECRET];
      const reuse = { useValue: store };
      const rotated = await startApp({
        platform,
        controllers,
        store: reuse,
        session: { ...session, secret },
      });
      try {
        rotated.clock.advance('1h'); // a touch is due
        const { headers, setCookies } = await new Browser(rotated.url).get('/read', { cookie });

        expect(setCookies).toHaveLength(1);
        expect([headers.get('vary'), headers.get('cache-control')]).toEqual(['Cookie', 'no-store']);
      } finally {
        await rotated.close();
      }
    });
  });

  // CVE-2015-5143, CVE-2015-5963 (Django)
  it('10,000 bad cookies and 500 anonymous logouts and flushes write nothing', async () => {
    const before = await store.count();
    const writes = spyOnWrites();
    for (let i = 0; i < 500; i++) {
      const cookies = Array.from({ length: 20 }, (_, j) => `sessionid=${(i * 20 + j).toString(36)}`);
      const { setCookies, status } = await visitor().post(i % 2 ? '/logout' : '/flush', {
        cookie: cookies.join('; '),
      });
      expect([status, setCookies]).toEqual([201, [expect.stringMatching(/^sessionid=; Max-Age=0;/)]]);
    }
    for (const write of writes) expect(write).not.toHaveBeenCalled();
    expect(await store.count()).toBe(before);
  });

  // CVE-2015-3982 (Django)
  it.each(['', ' ', '""', 'null', 'undefined', '0'])(
    'two visitors who both bring %j do not share a session',
    async (value) => {
      const [ada, eve] = [visitor(), visitor()];
      const cookie = { cookie: `sessionid=${value}` };
      await ada.post('/fill?item=secret', cookie);

      expect((await eve.get('/read', cookie)).json()).toEqual({ user: null, handle: null });
      await eve.post('/fill?item=tea', cookie);
      expect(await eve.cookie('sessionid')).not.toBe(await ada.cookie('sessionid'));
      expect((await eve.get('/read')).json()).toMatchObject({ cart: ['tea'] });
    },
  );

  // CVE-2026-7507, GHSA-c9h6-v78w-52wj (Keycloak)
  it.each(['application/json', 'application/x-www-form-urlencoded'])(
    'the handle or cookie of a session drives no login, in URL, headers and a body of %s',
    async (type) => {
      const [attacker, ada] = [visitor(), newPerson()];
      await attacker.post('/fill?item=bait');
      const { handle } = (await attacker.get('/read')).json();
      const cookie = String(await attacker.cookie('sessionid'));
      for (const value of [String(handle), cookie, keyOfCookie(cookie)]) {
        const victim = visitor();
        const fields = { session: value, sessionid: value, handle: value };
        const query = new URLSearchParams({ ...fields, user: ada.id });
        await victim.request('POST', `/login?${query.toString()}`, {
          headers: { 'content-type': type, authorization: `Bearer ${value}`, 'x-session-id': value },
          body: type === 'application/json' ? JSON.stringify(fields) : new URLSearchParams(fields).toString(),
        });

        const page = (await victim.get('/read')).json();
        expect(page).toEqual({ user: ada.id, handle: expect.not.stringMatching(String(handle)) });
        expect((await attacker.get('/read')).json()).toEqual({ cart: ['bait'], user: null, handle });
      }
    },
  );

  // tower-sessions 0.12: a new id that another session has
  describe('an id that is drawn twice', () => {
    it.each(['create', 'rename'] as const)(
      'by a %s is drawn again, and its owner is untouched',
      async (by) => {
        const [victim, other] = [await loggedIn(visitor(), newPerson()), visitor()];
        const taken = keyOfCookie(await victim.cookie('sessionid'));
        const record = await store.load(taken);
        if (by === 'rename') await other.post('/fill');
        const original = store[by].bind(store) as (...args: unknown[]) => Promise<unknown>;
        const place = by === 'create' ? 0 : 1;
        const draw = jest
          .spyOn(store as unknown as Record<string, typeof original>, by)
          .mockImplementationOnce((...args) => original(...args.with(place, taken)));
        const answer = await other.post(by === 'create' ? '/fill' : '/cycle');

        expect([answer.status, answer.setCookies.length, draw.mock.calls.length]).toEqual([201, 1, 2]);
        expect(await store.load(taken)).toEqual(record);
        expect((await other.get('/read')).json()).toMatchObject({ cart: ['tea'], user: null });
      },
    );
  });

  // CVE-2021-34428 (Jetty)
  describe('a listener of the end of a session', () => {
    const listeners: [string, () => unknown, number][] = [
      [
        'throws',
        () => {
          throw new Error('no');
        },
        1,
      ],
      ['rejects', () => Promise.reject(new Error('no')), 1],
      ['hangs', () => new Promise(() => undefined), 0],
    ];

    it.each(listeners)(
      'that %s keeps no session alive, and is warned of at most once',
      async (_, listen, count) => {
        const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
        const browser = await loggedIn(visitor(), newPerson());
        const cookie = await browser.cookie('sessionid');
        const events = app.get<SessionEvents>(SessionEvents);
        const off = (['ended', 'loggedOut'] as const).map((name) => events.on(name, () => listen()));
        const answer = await browser.post('/logout');
        off.forEach((end) => end());

        expect([answer.status, answer.setCookies.length]).toEqual([201, 1]);
        expect(await store.load(keyOfCookie(cookie))).toMatchObject({ gone: 'ended', values: {} });
        const replay = await visitor().get('/me', { cookie: `sessionid=${cookie}` });
        expect(replay.json().code).toBe('SESSION_EXPIRED');
        const warned = (name: string) =>
          warn.mock.calls.filter(([text]) => String(text).includes(`"${name}" failed`));
        expect([warned('ended').length, warned('loggedOut').length]).toEqual([count, count]);
      },
    );
  });

  // CVE-2023-20862 (Spring Security): what is empty must be saved too
  it.each(['/delete-last', '/clear'])('a session that %s emptied is empty for good', async (path) => {
    const browser = visitor();
    await browser.post('/fill?item=secret');
    await browser.post(path);

    expect((await browser.get('/read')).json()).toEqual({ user: null, handle: expect.any(String) });
    const key = keyOfCookie(await browser.cookie('sessionid'));
    expect({ ...(await store.load(key))?.values }).toEqual({});
  });

  // NIST SP 800-63B-4: a session is worth what its last proof was
  it('a confirmation that names a lower level lowers the session to it', async () => {
    const browser = visitor();
    await browser.post(`/login?user=${newPerson().id}&level=2`);
    expect((await browser.post('/strong')).status).toBe(201);
    await browser.post('/confirm-password');

    expect((await browser.post('/strong')).json().code).toBe('SECOND_FACTOR_REQUIRED');
  });

  it('a confirmation that names no level keeps it, as old as it is: an old second factor does not count as recent', async () => {
    const browser = visitor();
    await browser.post(`/login?user=${newPerson().id}&level=2`);
    app.clock.advance('11m');
    await browser.post('/confirm-again');

    expect((await browser.post('/recent')).status).toBe(201);
    expect((await browser.post('/strong')).json().code).toBe('REAUTHENTICATION_REQUIRED');
    await browser.post('/confirm-again');
    expect((await browser.post('/strong')).json().code).toBe('REAUTHENTICATION_REQUIRED');
  });

  // OWASP ASVS 7.6.1
  it('a login is as old as the provider says, and never newer than now', async () => {
    const browser = visitor();
    const login = async (minutes: number) => {
      const at = app.clock.now() + minutes * 60_000;
      await browser.post(`/login-by-provider?user=${newPerson().id}&at=${at}`);
      return (await browser.post('/recent')).json().code;
    };

    expect(await login(-11)).toBe('REAUTHENTICATION_REQUIRED');
    expect(await login(-9)).toBeUndefined();
    expect(await login(60)).toBeUndefined();
    app.clock.advance('11m');
    expect((await browser.post('/recent')).json().code).toBe('REAUTHENTICATION_REQUIRED');
  });
});
