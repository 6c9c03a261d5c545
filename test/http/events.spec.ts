import { channel, tracingChannel } from 'node:diagnostics_channel';
import { jest } from '@jest/globals';
import { Controller, Get, Logger, Post } from '@nestjs/common';
import {
  Authenticated,
  Public,
  Session,
  SessionAuth,
  type SessionEventName,
  SessionEvents,
  SessionStore,
} from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { gate, keyOfCookie } from '../support/laws.js';
import type { AnySession } from '../support/stage.js';

interface Person {
  readonly id: string;
}

const PEOPLE = {
  findById: async (id: string) => (id === 'gone' ? undefined : { id }),
  idOf: ({ id }: Person) => id,
};

@Controller()
class EventsController {
  constructor(private readonly auth: SessionAuth<Person>) {}

  @Get('read')
  read(@Session() session: AnySession) {
    return { value: session.get('value') ?? null };
  }

  @Post('write')
  write(@Session() session: AnySession) {
    session.set('value', SECRET_VALUE);
    return session.handle;
  }

  @Post('cycle')
  cycle(@Session() session: AnySession) {
    session.cycleId();
  }

  @Post('flush')
  async flush(@Session() session: AnySession) {
    await session.flush();
  }

  @Post('login/:id')
  @Public()
  async login(@Session() session: AnySession) {
    await this.auth.login(session, { id: 'ada' });
  }

  @Post('login-as-bob')
  @Public()
  async loginAsBob(@Session() session: AnySession) {
    await this.auth.login(session, { id: 'bob' });
  }

  @Post('logout')
  async logout(@Session() session: AnySession) {
    await this.auth.logout(session);
  }

  @Post('revoke')
  async revoke(@Session() session: AnySession) {
    await this.auth.revoke({ id: 'ada' }, session.handle);
  }

  @Get('account')
  @Authenticated()
  account() {}
}

/** Channels belong to the process: where another file has loaded the example of docs/events.md, that notes its time. */
function ownPartOf(context: object): object {
  const { begunAt: _, ...own } = context as { begunAt?: number };
  return own;
}

const SECRET_VALUE = 'hunter2-is-in-the-session';
const NAMES: readonly SessionEventName[] = [
  'created',
  'loaded',
  'saved',
  'touched',
  'rotated',
  'authenticated',
  'loggedOut',
  'ended',
  'interrupted',
  'rejected',
  'storeFailed',
];

describe.each(platforms)('events on %s', (platform) => {
  let app: TestApp;
  let browser: Browser;
  let seen: [SessionEventName, Record<string, unknown>][];
  const off: (() => void)[] = [];

  beforeAll(async () => {
    app = await startApp({
      platform,
      controllers: [EventsController],
      session: { auth: { users: { useValue: PEOPLE } } },
    });
  });
  afterAll(() => app.close());
  beforeEach(() => {
    browser = new Browser(app.url);
    seen = [];
    const events = app.get<SessionEvents>(SessionEvents);
    for (const name of NAMES) off.push(events.on(name, (event) => seen.push([name, { ...event }])));
  });
  afterEach(() => off.splice(0).forEach((end) => end()));

  const namesSeen = () => seen.map(([name]) => name);

  it('tell the way of an anonymous session: created, loaded, saved, rotated, ended', async () => {
    const handle = (await browser.post('/write')).text;
    await browser.get('/read');
    await browser.post('/write');
    await browser.post('/cycle');
    await browser.post('/flush');
    expect(seen).toEqual([
      ['created', { handle }],
      ['loaded', { handle }],
      ['loaded', { handle }],
      ['saved', { handle }],
      ['loaded', { handle }],
      ['rotated', { handle }],
      ['loaded', { handle }],
      ['ended', { handle, reason: 'flushed' }],
    ]);
  });

  it('tell of a touch when the idle deadline moves, and of nothing that was not written', async () => {
    await browser.post('/write');
    app.clock.advance('1h');
    await browser.get('/read');
    await browser.get('/read');
    expect(namesSeen()).toEqual(['created', 'loaded', 'touched', 'loaded']);
  });

  it('say who logged in, who logged out, and whose session was replaced or revoked', async () => {
    await browser.post('/login/ada');
    await browser.post('/login-as-bob');
    await browser.post('/logout');
    const ended = seen.filter(([name]) => name === 'ended').map(([, event]) => [event.userId, event.reason]);
    expect(ended).toEqual([
      ['ada', 'replaced'],
      ['bob', 'logout'],
    ]);
    expect(seen.filter(([name]) => name === 'authenticated').map(([, { userId }]) => userId)).toEqual([
      'ada',
      'bob',
    ]);
    expect(seen.filter(([name]) => name === 'loggedOut').map(([, { userId }]) => userId)).toEqual(['bob']);

    await browser.post('/login/ada');
    seen.splice(0);
    await browser.post('/revoke');
    expect(seen).toContainEqual(['ended', expect.objectContaining({ userId: 'ada', reason: 'revoked' })]);
  });

  it('say why a request was turned away', async () => {
    await browser.get('/account');
    await browser.get('/read', { cookie: 'sessionid=nonsense' });
    expect(seen).toEqual([
      ['rejected', { reason: 'NOT_AUTHENTICATED' }],
      ['rejected', { reason: 'cookie' }],
    ]);
  });

  it('say when a request came from another origin, or with another token, and when a user has too many sessions', async () => {
    const strict = await startApp({
      platform,
      controllers: [EventsController],
      session: {
        auth: { users: { useValue: PEOPLE }, maxSessions: { limit: 1, onExceed: 'refuse' } },
        csrf: { requireToken: true },
      },
    });
    const refusals: unknown[] = [];
    strict.get<SessionEvents>(SessionEvents).on('rejected', (event) => refusals.push({ ...event }));
    const own = { origin: strict.url };
    const visitor = new Browser(strict.url);
    const handle = (await visitor.post('/write', own)).text;
    await visitor.post('/write', { 'sec-fetch-site': 'cross-site' });
    await visitor.post('/write');
    await visitor.post('/login/ada', own);
    await new Browser(strict.url).post('/login/ada', own);
    await strict.close();
    expect(refusals).toEqual([
      { reason: 'SESSION_CSRF' },
      { handle, reason: 'SESSION_CSRF' },
      { userId: 'ada', reason: 'SESSION_LIMIT_REACHED' },
    ]);
  });

  it('tell of a request whose session ended while it ran', async () => {
    const handle = (await browser.post('/write')).text;
    const store = app.get<SessionStore>(SessionStore);
    const slow = gate(store, 'save');
    const writing = browser.post('/write');
    await slow.reached;
    await store.delete(keyOfCookie(await browser.cookie('sessionid')));
    slow.open();
    expect((await writing).status).toBe(409);
    expect(seen).toContainEqual(['interrupted', { handle }]);
  });

  it('reach who listens to diagnostics channels, with spans around the commands of the store', async () => {
    const heard: unknown[] = [];
    const spans: unknown[] = [];
    const listen = (event: unknown) => heard.push(event);
    const span = {
      start: (context: object) => spans.push(['start', ownPartOf(context)]),
      asyncEnd: (context: object) => spans.push(['end', ownPartOf(context)]),
    };
    channel('nest-session:created').subscribe(listen);
    tracingChannel('nest-session:store').subscribe(span as never);
    try {
      const handle = (await browser.post('/write')).text;
      expect(heard).toEqual([{ handle }]);
      expect(spans).toEqual([
        ['start', { operation: 'create' }],
        ['end', { operation: 'create', result: undefined }],
      ]);
      spans.splice(0);
      await browser.get('/read');
      expect(JSON.stringify(spans)).not.toContain(SECRET_VALUE); // the record that was loaded
    } finally {
      channel('nest-session:created').unsubscribe(listen);
      tracingChannel('nest-session:store').unsubscribe(span as never);
    }
  });

  it.each(['start', 'end', 'asyncStart', 'asyncEnd'] as const)(
    'reach who subscribed to the %s of spans alone',
    async (part) => {
      const heard: unknown[] = [];
      const listen = (context: unknown) => heard.push((context as { operation: string }).operation);
      const spans = tracingChannel('nest-session:store');
      spans[part].subscribe(listen);
      await browser.post('/write');
      spans[part].unsubscribe(listen);
      expect(heard).toEqual(['create']);
    },
  );

  it('change nothing for the request when listeners throw, reject or hang', async () => {
    jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const events = app.get<SessionEvents>(SessionEvents);
    off.push(
      events.on('created', () => {
        throw new Error('one');
      }),
      events.on('created', () => Promise.reject(new Error('two'))),
      events.on('created', () => new Promise(() => undefined)),
    );
    expect((await browser.post('/write')).status).toBe(201);
    expect((await browser.get('/read')).json()).toEqual({ value: SECRET_VALUE });
    jest.restoreAllMocks();
  });
});

describe('the option debug', () => {
  it('writes the way of a request as lines at debug level, without any secret; otherwise there are none', async () => {
    for (const debug of [true, false]) {
      const lines: string[] = [];
      jest
        .spyOn(Logger.prototype, 'debug')
        .mockImplementation((line: unknown) => void lines.push(String(line)));
      const app = await startApp({
        platform: 'fastify',
        controllers: [EventsController],
        session: { debug, auth: { users: { useValue: PEOPLE } } },
      });
      const browser = new Browser(app.url);
      const handle = (await browser.post('/write')).text;
      await browser.post('/login/ada');
      await browser.post('/logout');
      await app.close();
      jest.restoreAllMocks();
      if (debug) {
        expect(lines).toEqual([
          `created ${handle}`,
          `loaded ${handle}`,
          `rotated ${handle} (userId ada)`,
          `authenticated ${handle} (userId ada)`,
          `loaded ${handle} (userId ada)`,
          `ended ${handle} (userId ada, reason logout)`,
          `loggedOut ${handle} (userId ada)`,
        ]);
      } else expect(lines).toEqual([]);
    }
  });
});
