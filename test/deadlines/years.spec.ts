import { Controller, Get, Post, Query } from '@nestjs/common';
import { Session } from 'nest-session';
import { FakeClock } from 'nest-session/testing';
import { Browser } from '../support/browser.js';
import { platforms } from '../support/http-app.js';
import { keyOfCookie } from '../support/laws.js';
import { type SpiedApp, startSpiedApp } from '../support/spied-app.js';
import type { AnySession } from '../support/stage.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

const FORMS: Record<string, (session: AnySession, argument: number) => void> = {
  seconds: (session, seconds) => session.setExpiry(seconds),
  text: (session, days) => session.setExpiry(`${days}d`),
  date: (session, time) => session.setExpiry(new Date(time)),
  browser: (session) => session.setExpiry('browser'),
  module: (session) => session.setExpiry(undefined),
};

@Controller()
class Pages {
  @Get('look')
  look(@Session() session: AnySession) {
    return {
      views: session.get('views') ?? null,
      expiresAt: session.expiresAt.getTime(),
      absoluteExpiresAt: session.absoluteExpiresAt.getTime(),
      atBrowserClose: session.expiresAtBrowserClose,
    };
  }

  @Post('write')
  write(@Session() session: AnySession) {
    session.set('views', Number(session.get('views') ?? 0) + 1);
    return {};
  }

  @Post('expiry')
  expiry(@Session() session: AnySession, @Query() { form, of }: { form: string; of?: string }) {
    session.setDefault('views', 1);
    FORMS[form](session, Number(of));
    return {};
  }
}

describe.each(platforms)('deadlines over years on %s', (platform) => {
  const apps: SpiedApp[] = [];
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });

  const start = async (session: object, before?: SpiedApp) => {
    const clock = before?.clock ?? new FakeClock(Date.UTC(2030, 0));
    const store = before && { useValue: before.store };
    const app = await startSpiedApp({ platform, controllers: [Pages], session, clock, store });
    apps.push(app);
    return app;
  };

  /** The cookie is kept by hand: the jar goes by the clock of the machine. */
  const visit = async (app: SpiedApp, path = '/write') => {
    const answer = await new Browser(app.url).post(path);
    const cookie = /^sessionid=([^;]*)/.exec(answer.setCookies[0])?.[1];
    const headers = { cookie: `sessionid=${cookie}` };
    const of = (other: SpiedApp) => new Browser(other.url);
    return {
      answer,
      look: async (at = app) => (await of(at).get('/look', headers)).json<Record<string, number | null>>(),
      post: (url: string, at = app) => of(at).post(url, headers),
      record: () => app.store.load(keyOfCookie(cookie)),
    };
  };
  type Visitor = Awaited<ReturnType<typeof visit>>;
  const lives = async (visitor: Visitor, at?: SpiedApp) => (await visitor.look(at)).views !== null;

  it('lives as long as somebody comes every 13 days, and ends the first time they stay away for 14', async () => {
    const app = await start({ absoluteTimeout: '20y' });
    const visitor = await visit(app);
    for (let day = 0; day < 10 * 365; day += 13) {
      app.clock.advance('13d');
      expect(await lives(visitor)).toBe(true);
    }
    app.clock.advance((14 * DAY - 1) / SECOND);
    expect(await lives(visitor)).toBe(true);
    app.clock.advance('14d');
    expect(await lives(visitor)).toBe(false);
  });

  it('ends at the absolute deadline to the millisecond, however it was used', async () => {
    const app = await start({ absoluteTimeout: '3y' });
    const visitor = await visit(app);
    const end = Number((await visitor.look()).absoluteExpiresAt);
    expect(end).toBe(app.clock.now() + 3 * 365.25 * DAY);
    const uses = ['/write', '/expiry?form=text&of=30', '/expiry?form=browser', '/expiry?form=module'];
    for (let week = 0; app.clock.now() + 7 * DAY < end; week++) {
      app.clock.advance('7d');
      await visitor.post(uses[week % uses.length]);
      expect(await visitor.look()).toMatchObject({ absoluteExpiresAt: end });
      expect(Number((await visitor.record())?.expiresAt)).toBeLessThanOrEqual(end);
    }
    app.clock.set(end - 1);
    expect(await lives(visitor)).toBe(true);
    app.clock.set(end);
    expect(await lives(visitor)).toBe(false);
  });

  it.each([
    ['text', 400, 400 * DAY],
    ['seconds', 1_800, 30 * MINUTE],
    ['seconds', 0.5, SECOND / 2],
    ['browser', undefined, 14 * DAY],
    ['seconds', 0, 14 * DAY],
    ['module', undefined, 14 * DAY],
  ])('setExpiry(%s %s) is an idle timeout that each visit begins anew', async (form, of, idleMs) => {
    const app = await start({ absoluteTimeout: '20y', touchEvery: 0 });
    const visitor = await visit(app, `/expiry?form=${form}&of=${of}`);
    for (let i = 0; i < 5; i++) {
      app.clock.set(app.clock.now() + idleMs - 1);
      expect(await visitor.look()).toMatchObject({ views: 1 });
      expect((await visitor.record())?.expiresAt).toBe(app.clock.now() + idleMs);
    }
    app.clock.set(app.clock.now() + idleMs);
    expect(await lives(visitor)).toBe(false);
  });

  it('setExpiry(Date) is an end that no visit moves, years ahead', async () => {
    const app = await start({ absoluteTimeout: '20y' });
    const end = app.clock.now() + 5 * 365 * DAY;
    const visitor = await visit(app, `/expiry?form=date&of=${end}`);
    expect(visitor.answer.setCookies[0]).toContain(`Max-Age=${400 * 86_400};`); // no browser keeps one for longer
    for (const years of [1, 2, 4]) {
      app.clock.set(end - (5 - years) * 365 * DAY);
      await visitor.post('/write');
      expect((await visitor.record())?.expiresAt).toBe(end);
    }
    app.clock.set(end);
    expect(await lives(visitor)).toBe(false);
  });

  it.each([
    ['date', 0],
    ['seconds', -1],
  ])('setExpiry(%s %s) is the end, at the response', async (form, of) => {
    const app = await start({});
    const visitor = await visit(app);
    const answer = await visitor.post(`/expiry?form=${form}&of=${of}`);
    expect(answer.setCookies).toEqual([expect.stringMatching(/^sessionid=; Max-Age=0;/)]);
    expect(await lives(visitor)).toBe(false);
    expect(await app.store.count()).toBe(0);
  });

  it('setExpiry(undefined) returns to the module from any other', async () => {
    const app = await start({ absoluteTimeout: '20y' });
    const visitor = await visit(app, '/expiry?form=text&of=400');
    await visitor.post('/expiry?form=module');
    expect(await visitor.record()).toMatchObject({ policy: '', expiresAt: app.clock.now() + 14 * DAY });
  });

  it('persistent: false ends the cookie with the browser, and the session as any', async () => {
    const app = await start({ cookie: { persistent: false } });
    const visitor = await visit(app);
    expect(visitor.answer.setCookies[0]).not.toMatch(/Max-Age|Expires/i);
    expect(await visitor.look()).toMatchObject({ atBrowserClose: true });
    app.clock.advance('13d');
    expect(await lives(visitor)).toBe(true);
    app.clock.advance('14d');
    expect(await lives(visitor)).toBe(false);
  });

  it.each([
    [{ touchEvery: '1h' }, 24],
    [{ touchEvery: '1d' }, 1],
    [{}, 96],
    [{ touchEvery: 0 }, 96],
  ])('touches a reader who comes every 15 minutes as often as %j says: %i a day', async (options, times) => {
    const app = await start(options);
    const visitor = await visit(app);
    app.forget();
    for (let quarter = 0; quarter < 96; quarter++) {
      app.clock.advance('15m');
      await visitor.look();
    }
    expect(app.commands.filter((command) => command === 'touch')).toHaveLength(times);
    const { lastSeenAt = 0, expiresAt } = (await visitor.record()) ?? {};
    expect(expiresAt).toBe(lastSeenAt + 14 * DAY);
  });

  it('computes no deadline at a load: other options change nothing for what is stored (CVE-2024-35220)', async () => {
    const app = await start({ idleTimeout: '1d', absoluteTimeout: '10d' });
    const visitor = await visit(app);
    const stored = await visitor.record();
    const longer = await start({ idleTimeout: '300d', absoluteTimeout: '1000d' }, app);
    const shorter = await start({ idleTimeout: '1h', absoluteTimeout: '2h' }, app);
    for (const other of [longer, shorter]) {
      expect(await visitor.look(other)).toMatchObject({ views: 1, expiresAt: stored?.expiresAt });
      expect(await visitor.record()).toEqual(stored);
    }
    app.clock.advance('23h');
    expect(await lives(visitor, shorter)).toBe(true);
    expect((await visitor.record())?.expiresAt).toBe(app.clock.now() + 60 * MINUTE);
    await visitor.post('/write', longer);
    expect(await visitor.record()).toMatchObject({
      expiresAt: stored?.absoluteExpiresAt, // 300 days of idle time end with the ten that it was promised
      absoluteExpiresAt: stored?.absoluteExpiresAt,
    });
  });

  it('lengthens nothing where the clock goes back', async () => {
    const app = await start({});
    const visitor = await visit(app);
    const stored = await visitor.record();
    app.clock.set(app.clock.now() - 2 * DAY);
    await visitor.look();
    expect(await visitor.record()).toEqual(stored);
    await visitor.post('/write');
    const { lastSeenAt, expiresAt } = (await visitor.record()) ?? {};
    expect([lastSeenAt, expiresAt]).toEqual([stored?.lastSeenAt, Number(stored?.expiresAt) - 2 * DAY]);
  });
});
