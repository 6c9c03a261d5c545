import { jest } from '@jest/globals';
import { Body, Controller, Get, Post, Query } from '@nestjs/common';
import { Logger } from '@nestjs/common';
import { Passive, Session, SessionStore } from 'nest-session';
import { Browser } from '../support/browser.js';
import { describeLaw, gate, keyOfCookie } from '../support/laws.js';

type Data = Session<{ views: number }>;

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: Data) {
    session.set('views', 1);
    return {};
  }

  @Get('read')
  read(@Session() session: Data) {
    return { views: session.get('views') ?? null };
  }

  @Post('write')
  write(@Session() session: Data) {
    session.set('views', (session.get('views') ?? 0) + 1);
    return {};
  }

  @Post('poll')
  @Passive()
  poll(@Session() session: Data & Session<{ polled: boolean }>) {
    session.set('polled', true);
    return {};
  }

  @Post('expiry')
  expiry(
    @Session() session: Data,
    @Query('in') text: string | undefined,
    @Query('at') at: string | undefined,
  ) {
    session.setDefault('views', 1);
    session.setExpiry(at ? new Date(Number(at)) : text === 'browser' ? 'browser' : text || undefined);
    return {};
  }

  @Post('expiry-seconds')
  expirySeconds(@Session() session: Data, @Body() _: unknown, @Query('n') n: string) {
    session.setDefault('views', 1);
    session.setExpiry(Number(n));
    return {};
  }

  @Get('deadlines')
  deadlines(@Session() session: Data) {
    const { expiresAt, expiryAge, expiresAtBrowserClose, createdAt, lastSeenAt } = session;
    return {
      expiresAt: expiresAt.getTime(),
      expiryAge,
      expiresAtBrowserClose,
      createdAt: createdAt.getTime(),
      lastSeenAt: lastSeenAt.getTime(),
    };
  }
}

const DAY = 86_400_000;
const MINUTE = 60_000;

describeLaw('law 10: deadlines hold on the server', { controllers: [Pages] }, (law) => {
  const visitorWithSession = async (path = '/start') => {
    const visitor = law.visitor();
    await visitor.post(path);
    const cookie = await visitor.cookie('sessionid');
    const withCookie = { cookie: `sessionid=${cookie}` };
    // The jar drops a cookie by its Max-Age in real time; the server's deadlines are in the clock's.
    return {
      get: (url: string) => visitor.get(url, withCookie),
      post: (url: string) => visitor.post(url, withCookie),
      key: keyOfCookie(cookie),
    };
  };
  const isAlive = async (visitor: { get(path: string): Promise<{ json(): { views?: unknown } }> }) =>
    (await visitor.get('/read')).json().views !== null;
  const now = () => law.app.clock.now();

  it('ends a session that nobody used for the idle timeout', async () => {
    const visitor = await visitorWithSession();
    law.app.clock.advance('14d');
    expect(await isAlive(visitor)).toBe(false);
  });

  it('keeps one alive that is read, until the absolute deadline', async () => {
    const visitor = await visitorWithSession();
    for (let day = 0; day < 25; day += 5) {
      law.app.clock.advance('5d');
      expect(await isAlive(visitor)).toBe(true);
    }
    law.app.clock.advance('5d');
    expect(await isAlive(visitor)).toBe(false);
  });

  it('lengthens the absolute deadline by nothing: no write, no setExpiry', async () => {
    const visitor = await visitorWithSession();
    const created = now();
    for (const path of [
      '/write',
      '/expiry?in=20d',
      '/expiry?in=browser',
      `/expiry?at=${created + 60 * DAY}`,
      '/expiry',
    ]) {
      law.app.clock.advance('5d');
      expect((await visitor.post(path)).status).toBe(201);
      const record = await law.store.load(visitor.key);
      expect(record?.absoluteExpiresAt).toBe(created + 30 * DAY);
      expect(record?.expiresAt).toBeLessThanOrEqual(created + 30 * DAY);
    }
    law.app.clock.advance('5d');
    expect(await isAlive(visitor)).toBe(false);
  });

  it('never recomputes a deadline at load: a longer timeout does not revive what was to end', async () => {
    const visitor = await visitorWithSession();
    const generous = await law.another({ session: { idleTimeout: '300d', absoluteTimeout: '400d' } });
    law.app.clock.advance('14d');
    const browser = new Browser(generous.url);
    expect(await isAlive({ get: () => visitor.get('/read') })).toBe(false);
    expect((await browser.get('/read')).json()).toEqual({ views: null });
    expect(await law.store.load(visitor.key)).toBeUndefined();
  });

  it('moves the idle deadline of a reader at most once per touchEvery', async () => {
    const visitor = await visitorWithSession();
    const created = now();
    law.forget();
    for (let minute = 1; minute <= 10; minute++) {
      law.app.clock.advance('1m');
      await visitor.get('/read');
    }
    expect(law.commands.filter((command) => command === 'touch')).toHaveLength(2);
    const record = await law.store.load(visitor.key);
    expect([record?.lastSeenAt, record?.expiresAt]).toEqual([
      created + 10 * MINUTE,
      created + 10 * MINUTE + 14 * DAY,
    ]);
  });

  it('touches a session with a short idle timeout of its own in time', async () => {
    const visitor = await visitorWithSession('/expiry?in=2m');
    for (let i = 0; i < 8; i++) {
      law.app.clock.advance('1m');
      expect(await isAlive(visitor)).toBe(true);
    }
    law.app.clock.advance('2m');
    expect(await isAlive(visitor)).toBe(false);
  });

  it.each([
    ['seconds', '/expiry-seconds?n=1800', 30 * MINUTE],
    ['a duration', '/expiry?in=30m', 30 * MINUTE],
    ["'browser'", '/expiry?in=browser', 14 * DAY],
    ['0, which is browser', '/expiry-seconds?n=0', 14 * DAY],
    ['undefined, which is the module’s', '/expiry', 14 * DAY],
  ])('setExpiry takes %s', async (_, path, idle) => {
    const visitor = await visitorWithSession(path);
    const deadlines = (await visitor.get('/deadlines')).json<Record<string, number>>();
    expect(deadlines.expiresAt).toBe(now() + idle);
    expect(deadlines.expiryAge).toBe(idle / 1000);
    law.app.clock.advance((idle - 1000) / 1000);
    expect(await isAlive(visitor)).toBe(true);
    law.app.clock.advance(idle / 1000);
    expect(await isAlive(visitor)).toBe(false);
  });

  it('setExpiry takes a Date, which no use of the session moves', async () => {
    const end = now() + 30 * MINUTE;
    const visitor = await visitorWithSession(`/expiry?at=${end}`);
    law.app.clock.advance('29m');
    await visitor.post('/write');
    expect((await law.store.load(visitor.key))?.expiresAt).toBe(end);
    law.app.clock.advance('1m');
    expect(await isAlive(visitor)).toBe(false);
  });

  it.each(['/expiry?in=40d', `/expiry?at=${Date.now() + 400 * DAY}`])(
    'ends at the absolute deadline when setExpiry asks for more, and warns once: %s',
    async (path) => {
      const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
      const fresh = await law.another({});
      const created = now();
      for (let i = 0; i < 2; i++) {
        const visitor = new Browser(fresh.url);
        await visitor.post(path);
        const record = await law.store.load(keyOfCookie(await visitor.cookie('sessionid')));
        expect(record?.expiresAt).toBe(created + 30 * DAY);
      }
      const warnings = warn.mock.calls.filter(([text]) => String(text).includes('absoluteTimeout'));
      warn.mockRestore();
      expect(warnings).toHaveLength(1);
    },
  );

  it('says Max-Age of the absolute deadline, or of the Date, at most 400 days', async () => {
    const maxAge = async (origin: string, path: string) =>
      Number(/Max-Age=(\d+)/.exec((await new Browser(origin).post(path)).setCookies[0])?.[1]);
    expect(await maxAge(law.app.url, '/start')).toBe((30 * DAY) / 1000);
    expect(await maxAge(law.app.url, '/expiry?in=5m')).toBe((30 * DAY) / 1000);
    expect(await maxAge(law.app.url, `/expiry?at=${now() + 90 * MINUTE}`)).toBe(90 * 60);
    const long = await law.another({ session: { absoluteTimeout: '1000d' } });
    expect(await maxAge(long.url, '/start')).toBe((400 * DAY) / 1000);
  });

  it('says no Max-Age where cookies are not persistent', async () => {
    const other = await law.another({ session: { cookie: { persistent: false } } });
    expect((await new Browser(other.url).post('/start')).setCookies).toEqual([
      expect.not.stringContaining('Max-Age'),
    ]);
  });

  it('drops the touch of a reader that overlaps with a setExpiry', async () => {
    const visitor = await visitorWithSession();
    law.app.clock.advance('10m');
    const touch = gate(law.store, 'touch');
    const reading = visitor.get('/read');
    await touch.reached;
    await visitor.post('/expiry?in=5m');
    touch.open();
    await reading;
    expect((await law.store.load(visitor.key))?.expiresAt).toBe(now() + 5 * MINUTE);
  });

  it('leaves the deadline where it is when a passive route saves, also where a visitor moves it meanwhile', async () => {
    const visitor = await visitorWithSession();
    const created = now();
    law.app.clock.advance('1d');
    await visitor.post('/poll');
    const passed = await law.store.load(visitor.key);
    expect([passed?.lastSeenAt, passed?.expiresAt]).toEqual([created, created + 14 * DAY]);
    const save = gate(law.store, 'save');
    const polling = visitor.post('/poll');
    await save.reached;
    await visitor.get('/read');
    save.open();
    expect((await polling).status).toBe(201);
    const moved = await law.store.load(visitor.key);
    expect([moved?.lastSeenAt, moved?.expiresAt]).toEqual([now(), now() + 14 * DAY]);
  });

  it('ends a session soon whose cookie never came back, and as any when it did', async () => {
    const wary = await law.another({ session: { unconfirmedTimeout: '1h' } });
    const [bot, visitor] = [new Browser(wary.url), new Browser(wary.url)];
    const created = now();
    for (const each of [bot, visitor]) await each.post('/start');
    const keys = await Promise.all(
      [bot, visitor].map(async (each) => keyOfCookie(await each.cookie('sessionid'))),
    );
    for (const key of keys) expect((await law.store.load(key))?.expiresAt).toBe(created + 60 * MINUTE);
    await visitor.get('/read');
    law.app.clock.advance('1h');
    const [gone, alive] = await Promise.all(keys.map((key) => law.store.load(key)));
    expect([gone, alive?.expiresAt, alive?.absoluteExpiresAt]).toEqual([
      ...[undefined, created + 14 * DAY, created + 30 * DAY],
    ]);
  });

  it('drops the touch that confirms a session when an overlapping request set another expiry', async () => {
    const wary = await law.another({ session: { unconfirmedTimeout: '1h' } });
    const visitor = new Browser(wary.url);
    await visitor.post('/start');
    const touch = gate(wary.get<SessionStore>(SessionStore), 'touch');
    const reading = visitor.get('/read');
    await touch.reached;
    await visitor.post('/expiry?in=5m');
    touch.open();
    await reading;
    const key = keyOfCookie(await visitor.cookie('sessionid'));
    expect((await law.store.load(key))?.expiresAt).toBe(now() + 5 * MINUTE);
  });

  it('keeps the expiry that an overlapping request set when a value is saved', async () => {
    const visitor = await visitorWithSession();
    const save = gate(law.store, 'save');
    const writing = visitor.post('/write');
    await save.reached;
    await visitor.post('/expiry?in=5m');
    save.open();
    expect((await writing).status).toBe(201);
    expect((await law.store.load(visitor.key))?.expiresAt).toBe(now() + 5 * MINUTE);
  });
});
