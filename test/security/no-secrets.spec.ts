import { channel, tracingChannel } from 'node:diagnostics_channel';
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
  Res,
} from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import {
  Authenticated,
  Session,
  SessionAuth,
  type SessionEventName,
  SessionEvents,
  SessionStore,
} from 'nest-session';
import { type Answer, Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { type Command, gate, keyOfCookie, once } from '../support/laws.js';
import { lawStores } from '../support/law-stores.js';
import { type AnySession, rawOf } from '../support/stage.js';

const LEVELS = ['log', 'fatal', 'error', 'warn', 'debug', 'verbose'] as const;
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
  'ambiguous',
  'rejected',
  'corrupt',
  'newerFormat',
  'storeFailed',
  'unsaved',
];
const SPANS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;
const VALUE = 'the visitor’s diagnosis';
const FLASH = 'a flashed confidence';
const PASSWORD_HASH = 'the hash of a password';

interface Person {
  readonly id: string;
}
const PEOPLE = {
  findById: async (id: string) => ({ id }),
  idOf: ({ id }: Person) => id,
  authHash: () => PASSWORD_HASH,
};

/** All that anybody was shown, as text. */
const shown: string[] = [];
const show = (...things: unknown[]): void => {
  for (const thing of things)
    shown.push(typeof thing === 'string' ? thing : inspect(thing, { depth: 12, showHidden: true }));
};

@Controller()
class Pages {
  static release: Promise<void> = Promise.resolve();

  constructor(private readonly auth: SessionAuth<Person>) {}

  @Get('read')
  read(@Session() session: AnySession) {
    session.get('secret');
    session.takeFlash('secret');
    show(session, inspect(session, { showProxy: true }), String(session));
    show(JSON.stringify(session));
    return {};
  }

  @Post('write')
  write(@Session() session: AnySession) {
    session.set('secret', VALUE);
    session.flash('secret', FLASH);
    secrets.add(session.csrfToken);
    show(session);
    return {};
  }

  @Post('atomic')
  async atomic(@Session() session: AnySession) {
    await session.atomic('secret', () => VALUE);
  }

  @Post('too-large')
  tooLarge(@Session() session: AnySession) {
    session.set('secret', VALUE.repeat(20_000));
  }

  @Post('not-json')
  notJson(@Session() session: AnySession) {
    session.set('secret', [VALUE, new Map([[VALUE, VALUE]])]);
  }

  @Post('crash')
  crash(@Session() session: AnySession) {
    session.set('secret', VALUE);
    throw new Error('a mistake of the application');
  }

  @Post('late')
  late(@Session() session: AnySession, @Res() response: Parameters<typeof rawOf>[0]) {
    const raw = rawOf(response);
    raw.write('begun');
    session.set('secret', `${VALUE} too late`);
    raw.end();
  }

  @Post('cycle')
  cycle(@Session() session: AnySession) {
    session.cycleId();
  }

  @Post('flush')
  async flush(@Session() session: AnySession) {
    await session.flush();
  }

  @Post('login')
  async login(@Session() session: AnySession) {
    await this.auth.login(session, { id: 'ada' });
  }

  @Post('logout')
  async logout(@Session() session: AnySession) {
    await this.auth.logout(session);
  }

  @Post('revoke-all')
  async revokeAll() {
    await this.auth.revokeAll({ id: 'ada' });
  }

  @Get('devices')
  @Authenticated()
  async devices(@Session() session: AnySession) {
    return this.auth.sessions({ id: 'ada' }, session);
  }

  @Get('recent')
  @Authenticated({ within: '1m' })
  recent() {}

  @Get('strong')
  @Authenticated({ level: 2 })
  strong() {}
}

/** What nobody may be shown; grows as the visitors get cookies. */
const secrets = new Set<string>();

/** Shows every error as an application's own filter would log it. */
@Catch()
class ShowingFilter extends BaseExceptionFilter {
  override catch(error: unknown, host: ArgumentsHost): void {
    show(error, (error as Error).stack, JSON.stringify(error), (error as Error).cause);
    super.catch(error, host);
  }
}

/** A visitor whose cookies are secrets, and whose answers are shown: except Set-Cookie, which is theirs. */
class Visitor extends Browser {
  override async request(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
    const headers = { origin: this.origin, ...(init.headers as Record<string, string> | undefined) };
    const answer = await super.request(method, path, { ...init, headers });
    const others = [...answer.headers].filter(([name]) => name !== 'set-cookie');
    show(answer.text, others);
    await this.#remember();
    return answer;
  }

  async #remember(): Promise<void> {
    const cookie = await this.cookie('sessionid');
    if (!cookie) return;
    const [id, signature] = cookie.split('.');
    for (const secret of [id, signature, keyOfCookie(cookie)]) secrets.add(secret);
  }
}

const stores = lawStores.filter(({ name }) => ['memory', 'SQLite', 'PostgreSQL', 'Redis'].includes(name));

describe.each(stores)('nothing that is secret is shown to anybody · $name', ({ open, isAvailable }) => {
  (isAvailable ? describe : describe.skip).each(platforms)('%s', (platform) => {
    let app: TestApp;
    let store: SessionStore;
    let cleanUp: () => Promise<void>;
    const ends: (() => void)[] = [];

    beforeAll(async () => {
      shown.length = 0;
      secrets.clear();
      for (const secret of [VALUE, FLASH, PASSWORD_HASH]) secrets.add(secret);
      for (const level of LEVELS) jest.spyOn(Logger.prototype, level).mockImplementation(logged(level));
      for (const stream of [process.stdout, process.stderr])
        jest.spyOn(stream, 'write').mockImplementation((text) => (show(String(text)), true));
      for (const name of NAMES) listen(channel(`nest-session:${name}`), `channel ${name}`);
      for (const name of SPANS) listen(tracingChannel('nest-session:store')[name], `span ${name}`);
      const place = await open();
      cleanUp = place.cleanUp;
      app = await startApp({
        platform,
        ...place.wiring,
        controllers: [Pages],
        session: {
          debug: true,
          storeTimeout: '0.3s',
          csrf: { requireToken: true },
          auth: { users: { useValue: PEOPLE }, maxSessions: { limit: 2, onExceed: 'refuse' } },
        },
        setUp: (nest: INestApplication) =>
          nest.useGlobalFilters(new ShowingFilter(nest.get(HttpAdapterHost).httpAdapter)),
      });
      store = app.get<SessionStore>(SessionStore);
      const events = app.get<SessionEvents>(SessionEvents);
      for (const name of NAMES) ends.push(events.on(name, (event) => show(`event ${name}`, event)));
    });
    afterAll(async () => {
      ends.splice(0).forEach((end) => end());
      await app.close();
      await cleanUp();
      jest.restoreAllMocks();
    });

    const logged =
      (level: string) =>
      (...args: unknown[]) =>
        show(`level ${level}`, ...args);

    function listen(to: ReturnType<typeof channel>, title: string): void {
      const listener = (event: unknown) => show(title, event);
      to.subscribe(listener);
      ends.push(() => to.unsubscribe(listener));
    }

    it('in a life with logins, refusals, failures, corrupt data and late writes', async () => {
      const ada = await livesALife();
      await isRefused(ada);
      await meetsTrouble();
      show(store, app.get(SessionEvents));

      const everything = shown.join('\n');
      expect(MUST_BE_TOLD.filter((told) => !everything.includes(told))).toEqual([]);
      expect(secrets.size).toBeGreaterThan(20);
      const leaks = [...secrets].filter((secret) => everything.includes(secret));
      expect(leaks.map((leak) => around(everything, leak))).toEqual([]);
    });

    async function livesALife(): Promise<Visitor> {
      const visitor = new Visitor(app.url);
      for (const path of ['/write', '/write', '/atomic', '/cycle', '/crash', '/too-large', '/not-json'])
        await visitor.post(path);
      await visitor.get('/read');
      await visitor.post('/late');
      await visitor.post('/flush');
      await visitor.post('/write');
      await visitor.get('/read'); // takes the flashed value
      app.clock.advance('1h');
      await visitor.get('/read');
      await visitor.post('/login');
      await visitor.get('/devices');
      await visitor.post('/logout');
      await visitor.post('/login');
      return visitor;
    }

    async function isRefused(ada: Visitor): Promise<void> {
      app.clock.advance('2m');
      for (const path of ['/recent', '/strong']) await ada.get(path);
      await ada.request('POST', '/write', { headers: { 'sec-fetch-site': 'cross-site' } });
      await ada.request('POST', '/write', { headers: { origin: '' } });
      await new Visitor(app.url).post('/login');
      await new Visitor(app.url).post('/login'); // one too many
      const stranger = new Visitor(app.url);
      await stranger.get('/devices');
      const [mine, forged] = [String(await ada.cookie('sessionid')), 'x'.repeat(43)];
      const other = new Visitor(app.url);
      await other.post('/write');
      const pair = `sessionid=${mine}; sessionid=${await other.cookie('sessionid')}`;
      for (const cookie of [`sessionid=${mine}x`, `sessionid=${forged}.${forged}`, pair])
        await stranger.get('/read', { cookie });
      await other.post('/revoke-all');
      await ada.get('/devices');
    }

    async function meetsTrouble(): Promise<void> {
      const visitor = new Visitor(app.url);
      await visitor.post('/write');
      const cookie = await visitor.cookie('sessionid');
      const key = keyOfCookie(cookie);
      const fails: [Command, string][] = [
        ['load', '/write'],
        ['save', '/write'],
        ['rename', '/cycle'],
        ['atomic', '/atomic'],
        ['delete', '/flush'],
      ];
      for (const [command, path] of fails) {
        once(store, command, () => Promise.reject(driverError(key)));
        await visitor.post(path);
      }
      once(store, 'load', () => new Promise<never>(() => undefined));
      await visitor.get('/read');

      const record = await store.load(key);
      const unreadable = { ...record, values: { secret: `{"${VALUE}` } };
      once(store, 'load', (() => Promise.resolve(unreadable)) as never);
      await visitor.get('/read');
      once(store, 'load', (() => Promise.resolve({ ...record, format: 99 })) as never);
      await visitor.get('/read');

      const slow = gate(store, 'save');
      const writing = visitor.post('/write');
      await slow.reached;
      await store.delete(key);
      slow.open();
      await writing;
    }
  });
});

/** As drivers make them: with the statement, its parameters and the row in every corner. */
function driverError(key: string): Error {
  const error = new Error(`duplicate key ${key}, data {"secret":"${VALUE}"}`);
  const cause = new Error(`in ${key}: ${VALUE}`);
  return Object.assign(error, {
    code: 'E_DRIVER',
    query: key,
    parameters: [key, VALUE],
    detail: VALUE,
    cause,
  });
}

/** Proofs that the life above comes through every place where something could be shown. */
const MUST_BE_TOLD = [
  ...NAMES.flatMap((name) => [`event ${name}`, `channel ${name}`]),
  ...SPANS.map((name) => `span ${name}`),
  ...['error', 'warn', 'debug'].map((level) => `level ${level}`),
  ...['logout', 'flushed', 'revoked'].map((reason) => `reason: '${reason}'`),
  ...['cookie', 'NOT_AUTHENTICATED', 'SESSION_EXPIRED', 'SECOND_FACTOR_REQUIRED'].map(
    (reason) => `reason: '${reason}'`,
  ),
  ...['REAUTHENTICATION_REQUIRED', 'SESSION_LIMIT_REACHED', 'SESSION_CSRF'].map(
    (reason) => `reason: '${reason}'`,
  ),
  ...[
    'SESSION_TOO_LARGE',
    'SESSION_VALUE',
    'SESSION_INTERRUPTED',
    'SESSION_FORMAT_NEWER',
    'SESSION_STORE_TIMEOUT',
  ],
];

/** Where a secret stands, for the message of the failure. */
function around(text: string, secret: string): string {
  const at = text.indexOf(secret);
  return text.slice(Math.max(0, at - 300), at + secret.length + 60);
}
