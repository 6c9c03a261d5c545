import { Agent, get } from 'node:http';
import { Controller, Get, Post, Query } from '@nestjs/common';
import { Passive, Session } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms } from '../support/http-app.js';
import { gate } from '../support/laws.js';
import { AppUsers, newPerson, People } from '../support/people.js';
import { type SpiedApp, startSpiedApp } from '../support/spied-app.js';
import type { AnySession } from '../support/stage.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

@Controller()
class Pages {
  @Get('home')
  home(@Session() session: AnySession) {
    session.setDefault('views', 1);
    return { isConfirmed: session.isConfirmed, expiryAge: session.expiryAge };
  }

  @Get('look')
  look(@Session() session: AnySession) {
    return { views: session.get('views') ?? null, age: session.expiryAge, modified: session.modified };
  }

  @Get('poll')
  @Passive()
  poll(@Session() session: AnySession) {
    return { views: session.get('views') ?? null };
  }

  @Post('write')
  write(@Session() session: AnySession) {
    session.set('written', true);
    return {};
  }

  @Post('expiry')
  expiry(@Session() session: AnySession, @Query() { in: text, at }: { in?: string; at?: string }) {
    session.setDefault('views', 1);
    session.setExpiry(at === undefined ? text : new Date(Number(at)));
    return {};
  }

  @Post('in-steps')
  async inSteps(@Session() session: AnySession) {
    session.set('step', 1);
    await session.save();
    session.set('step', 2);
    await session.save();
    session.setExpiry('20d');
    await session.save();
    return {};
  }

  @Post('start-then-cycle')
  async startThenCycle(@Session() session: AnySession) {
    session.set('step', 1);
    await session.save();
    session.cycleId();
    return {};
  }
}

/** One request of a program that keeps no cookies; what it was to keep. */
const ask = (url: string, agent: Agent) =>
  new Promise<string>((resolve, reject) => {
    const asking = get(url, { agent }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(String(answer.headers['set-cookie'])));
    });
    asking.on('error', reject);
  });

describe.each(platforms)('unconfirmedTimeout on %s', (platform) => {
  let app: SpiedApp;

  beforeAll(async () => {
    const session = { unconfirmedTimeout: '1h', auth: { users: AppUsers } };
    app = await startSpiedApp({ platform, controllers: [Pages, People], session });
  });
  afterAll(() => app.close());

  const started = async (path = '/home', method = 'GET') => {
    const visitor = app.visitor();
    const answer = await visitor.request(method, path);
    return { visitor, answer, created: app.clock.now() };
  };
  const times = async (visitor: Browser) => {
    const record = await app.recordOf(visitor);
    return record && { lastSeenAt: record.lastSeenAt, expiresAt: record.expiresAt };
  };

  it('lets the rows of a bot end after an hour', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 20 });
    const visits = Array.from({ length: 1_000 }, () => ask(`${app.url}/home`, agent));
    const answers = await Promise.all(visits);
    agent.destroy();
    expect(new Set(answers).size).toBe(1_000); // a cookie for each
    expect(await app.store.count()).toBeGreaterThanOrEqual(1_000);
    app.clock.advance('1h');
    expect(await app.store.count()).toBe(0);
    expect(await app.store.deleteExpired()).toBeGreaterThanOrEqual(1_000);
  });

  it('ends an unconfirmed session after an hour, and says so; the cookie lives as any', async () => {
    const { visitor, answer, created } = await started();
    expect(answer.json()).toEqual({ isConfirmed: false, expiryAge: 3600 });
    expect(answer.setCookies[0]).toContain(`Max-Age=${30 * 86_400};`);
    expect(await times(visitor)).toEqual({ lastSeenAt: created, expiresAt: created + HOUR });
    app.clock.advance('1h');
    expect((await visitor.get('/look')).json()).toMatchObject({ views: null });
  });

  it('gives it all of its time with the first request that brings the cookie back, by one touch', async () => {
    const { visitor, created } = await started();
    app.forget();
    const answer = await visitor.get('/look');
    expect(answer.json()).toEqual({ views: 1, age: 14 * 86_400, modified: false });
    expect([app.commands, answer.setCookies]).toEqual([['load', 'touch'], []]);
    expect(await times(visitor)).toEqual({ lastSeenAt: created, expiresAt: created + 14 * DAY });

    app.forget();
    await visitor.get('/look');
    expect(app.commands).toEqual(['load']);
  });

  it('gives it all of its time with a save, and never more than the absolute deadline', async () => {
    const { visitor, created } = await started();
    app.clock.advance('59m');
    app.forget();
    await visitor.post('/write');
    expect(app.commands).toEqual(['load', 'save']);
    expect((await times(visitor))?.expiresAt).toBe(created + 59 * MINUTE + 14 * DAY);
    for (let day = 0; day < 30; day += 10) {
      await visitor.get('/look');
      app.clock.advance('10d');
    }
    expect((await visitor.get('/look')).json()).toMatchObject({ views: null });
    expect(app.clock.now()).toBeGreaterThan(created + 30 * DAY);
  });

  it('counts a passive request as a cookie that came back, and as no visit', async () => {
    const { visitor, created } = await started();
    app.clock.advance('30m');
    app.forget();
    await visitor.get('/poll');
    expect(app.commands).toEqual(['load', 'touch']);
    expect(await times(visitor)).toEqual({ lastSeenAt: created, expiresAt: created + 14 * DAY });
    await visitor.get('/poll');
    expect(app.commands).toEqual(['load', 'touch', 'load']);
  });

  it('returns to the expiry that the first request has set', async () => {
    const { visitor, created } = await started('/expiry?in=2d', 'POST');
    expect((await times(visitor))?.expiresAt).toBe(created + HOUR);
    await visitor.get('/look');
    expect((await times(visitor))?.expiresAt).toBe(created + 2 * DAY);
  });

  it('is the shorter of both where the first request asks for less', async () => {
    const { visitor, created } = await started('/expiry?in=5m', 'POST');
    expect((await times(visitor))?.expiresAt).toBe(created + 5 * MINUTE);
    app.forget();
    await visitor.get('/look');
    expect(app.commands).toEqual(['load']);
  });

  it('says the end that the first request has set in the cookie', async () => {
    const end = app.clock.now() + 3 * DAY;
    const { visitor, answer } = await started(`/expiry?at=${end}`, 'POST');
    expect(answer.setCookies[0]).toContain(`Max-Age=${3 * 86_400};`);
    expect((await visitor.get('/look')).setCookies).toEqual([]);
    expect((await times(visitor))?.expiresAt).toBe(end);
  });

  it('holds for all that the first request saves', async () => {
    const { visitor, created } = await started('/in-steps', 'POST');
    expect((await app.recordOf(visitor))?.values.step).toBe('2');
    expect((await times(visitor))?.expiresAt).toBe(created + HOUR);
    await visitor.get('/look');
    expect((await times(visitor))?.expiresAt).toBe(created + 20 * DAY);
  });

  it('holds for a new id within the first request', async () => {
    const { visitor, created } = await started('/start-then-cycle', 'POST');
    expect((await times(visitor))?.expiresAt).toBe(created + HOUR);
  });

  it('does not hold for a login: who knows a password is no bot', async () => {
    const visitor = app.visitor();
    await visitor.post(`/login?user=${newPerson().id}`);
    expect(await app.recordOf(visitor)).toMatchObject({
      policy: '',
      expiresAt: app.clock.now() + 14 * DAY,
    });
    const waiting = app.visitor();
    await waiting.post(`/first-factor?user=${newPerson().id}`);
    expect((await times(waiting))?.expiresAt).toBe(app.clock.now() + 14 * DAY);
  });

  it('drops the confirming touch of a reader that overlaps with a setExpiry', async () => {
    const { visitor } = await started();
    const touch = gate(app.store, 'touch');
    const reading = visitor.get('/look');
    await touch.reached;
    await visitor.post('/expiry?in=5m');
    touch.open();
    await reading;
    expect((await times(visitor))?.expiresAt).toBe(app.clock.now() + 5 * MINUTE);
  });

  it('means nothing to a confirmed session when the option is taken away', async () => {
    const { visitor, created } = await started();
    const store = { useValue: app.store };
    const other = await startSpiedApp({ platform, controllers: [Pages], store, clock: app.clock });
    const later = new Browser(other.url);
    const cookie = `sessionid=${await visitor.cookie('sessionid')}`;
    expect((await later.get('/look', { cookie })).json()).toMatchObject({ views: 1 });
    await other.close();
    expect((await times(visitor))?.expiresAt).toBe(created + 14 * DAY);
  });
});

it('is off unless asked for', async () => {
  const app = await startSpiedApp({ platform: 'express', controllers: [Pages] });
  const visitor = app.visitor();
  await visitor.get('/home');
  expect(await app.recordOf(visitor)).toMatchObject({ policy: '', expiresAt: app.clock.now() + 14 * DAY });
  await app.close();
});
