import { jest } from '@jest/globals';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { APP_GUARD } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  All,
  Body,
  Controller,
  Get,
  HttpCode,
  type INestApplication,
  Logger,
  Module,
  Post,
  Render,
  UseGuards,
} from '@nestjs/common';
import {
  CsrfExempt,
  MemorySessionStore,
  Session,
  SessionCsrfException,
  SessionCsrfGuard,
  type SessionCsrfOptions,
  SessionEvents,
  SessionModule,
  SessionStore,
} from 'nest-session';
import { type Answer, Browser } from '../support/browser.js';
import { platforms, SECRET, startApp, type TestApp } from '../support/http-app.js';
import { startOn } from '../support/transports.js';
import { useViews } from '../support/views.js';

@Controller()
class Pages {
  static handled = 0;

  @Post('start')
  start(@Session() session: Session<{ cart: string }>) {
    session.set('cart', 'tea');
    return {};
  }

  @All('transfer')
  @HttpCode(201) // as a POST
  transfer() {
    Pages.handled++;
    return {};
  }

  @Post('webhook')
  @CsrfExempt()
  webhook() {
    return {};
  }

  @Post('echo')
  echo(@Body() body: unknown) {
    return body;
  }

  @Get('token')
  token(@Session() session: Session) {
    return { token: session.csrfToken, isNew: session.isNew };
  }

  @Get('started-token')
  startedToken(@Session() session: Session<{ form: boolean }>) {
    session.set('form', true);
    return { token: session.csrfToken };
  }

  @Get('form')
  @Render('form')
  form() {
    return {};
  }

  @Post('cycle')
  @CsrfExempt()
  cycle(@Session() session: Session) {
    session.cycleId();
    return {};
  }

  @Post('flush')
  @CsrfExempt()
  async flush(@Session() session: Session<{ cart: string }>) {
    await session.flush();
    session.set('cart', 'new');
    return {};
  }
}

@Controller('exempt')
@CsrfExempt()
class Exempt {
  @Post('all')
  all() {
    return {};
  }

  @Post('but-one')
  @CsrfExempt(false)
  butOne() {
    return {};
  }
}

@Controller('guarded')
class Guarded {
  @Post('route')
  @UseGuards(SessionCsrfGuard)
  route() {
    return {};
  }

  @Post('open')
  open() {
    return {};
  }
}

const CROSS = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
const REFUSED = {
  statusCode: 403,
  error: 'Forbidden',
  message: 'The request came from a page of another origin.',
  code: 'SESSION_CSRF',
};

/** Node's fetch says `Sec-Fetch-Mode`, but no `Sec-Fetch-Site` and no `Origin`: as a program does. */
const PROGRAM = {};

describe.each(platforms)('cross-site requests · %s', (platform) => {
  const apps: TestApp[] = [];
  afterAll(() => Promise.all(apps.map((app) => app.close())));

  async function start(
    csrf: boolean | SessionCsrfOptions | undefined,
    more: Partial<Parameters<typeof startApp>[0]> = {},
  ) {
    const controllers = [Pages, Exempt, Guarded];
    const app = await startApp({ platform, controllers, session: { csrf }, ...more });
    apps.push(app);
    return app;
  }

  /** A visitor with a stored session. */
  async function visitor(app: TestApp): Promise<Browser> {
    const browser = new Browser(app.url);
    await browser.post('/start');
    expect(await browser.cookie('sessionid')).toBeDefined();
    return browser;
  }

  describe('csrf: true', () => {
    let app: TestApp;
    let browser: Browser;
    const commands: string[] = [];
    beforeAll(async () => {
      app = await start(true);
      browser = await visitor(app);
      watch(app.get(SessionStore), commands);
    });
    beforeEach(() => {
      commands.splice(0);
      Pages.handled = 0;
    });

    it('refuses what another site makes the browser send, before the handler', async () => {
      const answer = await browser.post('/transfer', CROSS);
      expect([answer.status, answer.json(), Pages.handled]).toEqual([403, REFUSED, 0]);
    });

    it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('refuses %s', async (method) => {
      expect((await browser.request(method, '/transfer', { headers: CROSS })).status).toBe(403);
    });

    it.each(['GET', 'HEAD', 'OPTIONS'])('lets %s pass, which changes nothing', async (method) => {
      expect((await browser.request(method, '/transfer', { headers: CROSS })).status).toBe(201);
    });

    it.each<[number, string, Record<string, string>]>([
      [201, 'a page of its own', { 'sec-fetch-site': 'same-origin' }],
      [201, 'the visitor, by hand', { 'sec-fetch-site': 'none' }],
      [403, 'a page of a sub-domain', { 'sec-fetch-site': 'same-site', origin: 'https://a.shop.example' }],
      [403, 'a page elsewhere', { 'sec-fetch-site': 'cross-site' }],
      [403, 'an old browser on another page', { origin: 'https://evil.example' }],
      [403, 'an old browser that hides the origin', { origin: 'null' }],
      [403, 'an origin that is none', { origin: '127.0.0.1' }],
      [201, 'a program', PROGRAM],
    ])('answers %i to %s', async (status, _, headers) => {
      expect((await browser.request('POST', '/transfer', { headers })).status).toBe(status);
    });

    it('lets an old browser pass on a page of this host with its port, and on no other port', async () => {
      expect((await browser.post('/transfer', { origin: app.url })).status).toBe(201);
      expect((await browser.post('/transfer', { origin: 'http://127.0.0.1:1' })).status).toBe(403);
      expect((await browser.post('/transfer', { origin: 'http://127.0.0.1' })).status).toBe(403);
    });

    it('asks no store, sends no cookie and does not vary, whatever the verdict', async () => {
      for (const headers of [CROSS, { 'sec-fetch-site': 'same-origin' }, { origin: app.url }, PROGRAM]) {
        const answer = await browser.post('/transfer', headers);
        expectUntouched(answer);
      }
      expect(commands).toEqual([]);
    });

    it('judges nothing that brings no session cookie of ours', async () => {
      const cookie = (await browser.cookie('sessionid')) ?? '';
      const forged = cookie.slice(0, -2) + (cookie.endsWith('AA') ? 'BB' : 'AA');
      for (const header of [
        '',
        'sessionid=',
        'sessionid=garbage',
        `sessionid=${forged}`,
        `other=${cookie}`,
      ]) {
        const answer = await new Browser(app.url).post(
          '/transfer',
          header ? { ...CROSS, cookie: header } : CROSS,
        );
        expect(answer.status).toBe(201);
        expectUntouched(answer);
      }
      expect(commands).toEqual([]);
    });

    it('judges the cookie of a session that is no more, for the store is not asked', async () => {
      const gone = await visitor(app);
      const cookie = `sessionid=${await gone.cookie('sessionid')}`;
      await gone.post('/flush');
      commands.splice(0);
      expect((await new Browser(app.url).post('/transfer', { ...CROSS, cookie })).status).toBe(403);
      expect(commands).toEqual([]);
    });

    it('leaves out what is marked @CsrfExempt(): a route, a controller; the method wins', async () => {
      const statuses = ['/webhook', '/exempt/all', '/exempt/but-one'].map(
        async (path) => (await browser.post(path, CROSS)).status,
      );
      expect(await Promise.all(statuses)).toEqual([201, 201, 403]);
    });

    it('answers 404 and not 403 where there is no route', async () => {
      expect((await browser.post('/nowhere', CROSS)).status).toBe(404);
    });

    it('is told by one event, and warned of by nothing', async () => {
      const emit = jest.spyOn(app.get<SessionEvents>(SessionEvents), 'emit');
      const warn = jest.spyOn(Logger.prototype, 'warn');
      await browser.post('/transfer', CROSS);
      expect([emit.mock.calls, warn.mock.calls]).toEqual([[['rejected', { reason: 'SESSION_CSRF' }]], []]);
      jest.restoreAllMocks();
    });
  });

  describe('trustedOrigins', () => {
    it('may do what this origin may, in old browsers too', async () => {
      const app = await start({ trustedOrigins: ['https://Partner.example:443', 'http://127.0.0.1:7'] });
      const browser = await visitor(app);
      const statusOf = async (headers: Record<string, string>) =>
        (await browser.post('/transfer', headers)).status;
      const trusted = { origin: 'https://partner.example' };

      expect(await statusOf({ ...trusted, 'sec-fetch-site': 'cross-site' })).toBe(201);
      expect(await statusOf({ ...trusted, 'sec-fetch-site': 'same-site' })).toBe(201);
      expect(await statusOf(trusted)).toBe(201);
      expect(await statusOf({ origin: 'http://127.0.0.1:7' })).toBe(201);
      expect(await statusOf({ origin: 'http://partner.example' })).toBe(403);
      expect(await statusOf(CROSS)).toBe(403);
    });

    it('are what a proxy that rewrites Host needs: X-Forwarded-Host is not believed, even of a trusted proxy', async () => {
      const origin = 'https://shop.example';
      const proxied = { origin, 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' };
      const strict = await start(true, { trustsProxy: true });
      const cookie = { cookie: pairOf(await new Browser(strict.url).post('/start', proxied)) };
      expect(cookie.cookie).toMatch(/^__Host-sessionid=/);
      expect((await new Browser(strict.url).post('/transfer', { ...proxied, ...cookie })).status).toBe(403);

      const told = await start({ trustedOrigins: [origin] }, { trustsProxy: true });
      const other = { cookie: pairOf(await new Browser(told.url).post('/start', proxied)) };
      expect((await new Browser(told.url).post('/transfer', { ...proxied, ...other })).status).toBe(201);
    });
  });

  describe('everyone: true', () => {
    it('judges requests without a session cookie too: nobody is logged in as a stranger', async () => {
      const app = await start({ everyone: true });
      const stranger = new Browser(app.url);
      for (const [status, path, headers] of [
        [403, '/transfer', CROSS],
        [201, '/webhook', CROSS],
        [201, '/transfer', { 'sec-fetch-site': 'same-origin' }],
        [201, '/transfer', PROGRAM],
      ] as const) {
        const answer = await stranger.post(path, headers);
        expect(answer.status).toBe(status);
        expectUntouched(answer);
      }
    });
  });

  describe('without the option', () => {
    it.each([undefined, false])(
      'guards nothing but what @UseGuards(SessionCsrfGuard) names: csrf: %s',
      async (csrf) => {
        const app = await start(csrf);
        const browser = await visitor(app);
        expect((await browser.post('/guarded/route', CROSS)).status).toBe(403);
        expect((await browser.post('/guarded/route', PROGRAM)).status).toBe(201);
        for (const path of ['/guarded/open', '/transfer', '/exempt/but-one'])
          expect((await browser.post(path, CROSS)).status).toBe(201);
      },
    );

    it('can be made global by APP_GUARD, in a module of the application', async () => {
      const app = await start(undefined, { providers: [{ provide: APP_GUARD, useClass: SessionCsrfGuard }] });
      const browser = await visitor(app);
      expect((await browser.post('/transfer', CROSS)).status).toBe(403);
      expect((await browser.post('/webhook', CROSS)).status).toBe(201);
    });
  });

  it('takes the option from forRootAsync too', async () => {
    const useFactory = async () => ({ secret: SECRET, csrf: { everyone: true } });
    @Module({
      imports: [SessionModule.forRootAsync({ store: MemorySessionStore, useFactory })],
      controllers: [Pages],
    })
    class AppModule {}
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    const adapter = platform === 'express' ? new ExpressAdapter() : (new FastifyAdapter() as never);
    const app: INestApplication = module.createNestApplication(adapter, { logger: false });
    await app.listen(0, '127.0.0.1');
    const answer = await new Browser(await app.getUrl()).post('/transfer', CROSS);
    await app.close();
    expect(answer.status).toBe(403);
  });

  describe('session.csrfToken', () => {
    let app: TestApp;
    const commands: string[] = [];
    beforeAll(async () => {
      app = await start(
        { requireToken: true },
        {
          setUp: (nest) =>
            useViews(nest, platform, {
              form: '<input type="hidden" name="_csrf" value="<%= session.csrfToken %>">',
            }),
        },
      );
      watch(app.get(SessionStore), commands);
    });
    beforeEach(() => commands.splice(0));

    const started = async () => {
      const browser = await visitor(app);
      return { browser, token: (await browser.get('/token')).json<{ token: string }>().token };
    };
    const send = (browser: Browser, body: URLSearchParams | string, headers: Record<string, string> = {}) =>
      browser.request('POST', '/echo', { headers, body });

    it('is asked for where nothing says where a request comes from', async () => {
      const { browser } = await started();
      const answer = await browser.post('/transfer', PROGRAM);
      expect([answer.status, answer.json()]).toEqual([
        403,
        { ...REFUSED, message: 'The form is out of date: load its page again.' },
      ]);
    });

    it('is taken from a form, from JSON, and from X-CSRF-Token, which wins', async () => {
      const { browser, token } = await started();
      const json = { 'content-type': 'application/json' };
      const multipart = { 'content-type': 'multipart/form-data; boundary=x' };
      expect((await send(browser, new URLSearchParams({ _csrf: token, a: '1' }))).status).toBe(201);
      expect((await send(browser, JSON.stringify({ _csrf: token }), json)).status).toBe(201);
      expect((await browser.post('/transfer', { 'x-csrf-token': token })).status).toBe(201);
      expect(
        (await send(browser, new URLSearchParams({ _csrf: 'bad' }), { 'x-csrf-token': token })).status,
      ).toBe(201);
      expect(
        (await send(browser, new URLSearchParams({ _csrf: token }), { 'x-csrf-token': 'bad' })).status,
      ).toBe(403);
      if (platform === 'express')
        // Fastify refuses a type that nobody parses
        expect((await send(browser, '--x--', { ...multipart, 'x-csrf-token': token })).status).toBe(201);
    });

    it.each<
      [string, (token: string) => { path?: string; body?: URLSearchParams; headers?: Record<string, string> }]
    >([
      ['a wrong one', (token) => ({ body: new URLSearchParams({ _csrf: token.slice(1) + token[0] }) })],
      ['an empty one', () => ({ body: new URLSearchParams({ _csrf: '' }) })],
      [
        'two',
        (token) => ({
          body: new URLSearchParams([
            ['_csrf', token],
            ['_csrf', token],
          ]),
        }),
      ],
      ['one in the query', (token) => ({ path: `/echo?_csrf=${token}` })],
      ['one under another name', (token) => ({ body: new URLSearchParams({ csrf: token }) })],
    ])('is not %s', async (_, change) => {
      const { browser, token } = await started();
      const { path = '/echo', ...init } = change(token);
      expect((await browser.request('POST', path, init)).status).toBe(403);
    });

    it('is not asked for where the browser says so, nor does it help a stranger', async () => {
      const { browser, token } = await started();
      commands.splice(0);
      expect((await browser.post('/transfer', { 'sec-fetch-site': 'same-origin' })).status).toBe(201);
      expect((await browser.post('/transfer', { origin: app.url })).status).toBe(201);
      expect((await browser.post('/transfer', { ...CROSS, 'x-csrf-token': token })).status).toBe(403);
      expect(commands).toEqual([]);
    });

    it('is not asked of a visitor who has no session, nor of one whose session is no more', async () => {
      expectUntouched(await new Browser(app.url).post('/transfer', PROGRAM), 201);
      expect(commands).toEqual([]);
      const { browser } = await started();
      const cookie = `sessionid=${await browser.cookie('sessionid')}`;
      await browser.post('/flush');
      expect((await new Browser(app.url).post('/transfer', { cookie })).status).toBe(201);
    });

    it('is refused where the cookies name two sessions, whosever it is', async () => {
      const [one, two] = await Promise.all([started(), started()]);
      const names = [await one.browser.cookie('sessionid'), await two.browser.cookie('sessionid')];
      const cookie = names.map((each) => `sessionid=${each}`).join('; ');
      const answer = await new Browser(app.url).post('/transfer', { cookie, 'x-csrf-token': one.token });
      expect(answer.status).toBe(403);
    });

    it('is good for its own session alone', async () => {
      const [mine, other] = await Promise.all([started(), started()]);
      expect((await mine.browser.post('/transfer', { 'x-csrf-token': other.token })).status).toBe(403);
      expect((await mine.browser.post('/transfer', { 'x-csrf-token': mine.token })).status).toBe(201);
    });

    it('stays good when the id changes, and ends with a flush', async () => {
      const { browser, token } = await started();
      await browser.post('/cycle');
      expect((await browser.post('/transfer', { 'x-csrf-token': token })).status).toBe(201);
      await browser.post('/flush');
      expect((await browser.post('/transfer', { 'x-csrf-token': token })).status).toBe(403);
    });

    it('is read without a write, and counts as asked for', async () => {
      const { browser } = await started();
      commands.splice(0);
      const answer = await browser.get('/token');
      expect([answer.headers.get('vary'), answer.setCookies, commands]).toEqual(['Cookie', [], ['load']]);
    });

    it('starts no session for a visitor without one, and is good at once for a session that this request starts', async () => {
      const anonymous = new Browser(app.url);
      const answer = await anonymous.get('/token');
      expect(answer.json()).toEqual({ token: expect.stringMatching(/^[\w-]{86}$/), isNew: true });
      expect([answer.setCookies, commands]).toEqual([[], []]);
      // Nothing was stored, nothing can be forged: the form goes through.
      expect(
        (await anonymous.post('/transfer', { 'x-csrf-token': answer.json<{ token: string }>().token }))
          .status,
      ).toBe(201);

      const { token } = (await anonymous.get('/started-token')).json<{ token: string }>();
      expect((await anonymous.post('/transfer', PROGRAM)).status).toBe(403);
      expect((await anonymous.post('/transfer', { 'x-csrf-token': token })).status).toBe(201);
    });

    it('stands in a template', async () => {
      const { browser } = await started();
      const [, token] = /value="([\w-]{86})"/.exec((await browser.get('/form')).text) ?? [];
      expect((await send(browser, new URLSearchParams({ _csrf: token }))).status).toBe(201);
    });

    it('outlives the replacement of a secret', async () => {
      const store = new MemorySessionStore();
      const before = await start({ requireToken: true }, { store: { useValue: store } });
      const browser = await visitor(before);
      const { token } = (await browser.get('/token')).json<{ token: string }>();
      const cookie = `sessionid=${await browser.cookie('sessionid')}`;
      const secret = ['another secret for tests, of more than 32 characters', SECRET];
      const session = { csrf: { requireToken: true }, secret };
      const after = await start(undefined, { store: { useValue: store }, session });
      const moved = new Browser(after.url);
      expect((await moved.post('/transfer', { cookie, 'x-csrf-token': token })).status).toBe(201);
      expect((await moved.post('/transfer', { cookie })).status).toBe(403);
    });
  });
});

it('reads the host of HTTP/2 from :authority', async () => {
  const app = await startOn('Fastify over HTTP/2', { controllers: [Pages], session: { csrf: true } });
  try {
    const [setCookie] = (await app.send('/start', { method: 'POST' })).values('set-cookie');
    const cookie = setCookie.split(';')[0];
    const statusOf = async (origin: string) =>
      (await app.send('/transfer', { method: 'POST', headers: { cookie, origin } })).status;
    expect(await statusOf(`http://127.0.0.1:${app.port}`)).toBe(201);
    expect(await statusOf('https://evil.example')).toBe(403);
  } finally {
    await app.close();
  }
});

it('is for HTTP: other kinds of contexts pass', () => {
  const guard = new SessionCsrfGuard(
    undefined as never,
    undefined as never,
    undefined as never,
    undefined as never,
    undefined as never,
  );
  for (const type of ['rpc', 'ws', 'graphql'])
    expect(guard.canActivate({ getType: () => type } as never)).toBe(true);
});

it('throws an exception that names its code', () => {
  const error = new SessionCsrfException();
  expect([error.code, error.getStatus(), error.getResponse()]).toEqual(['SESSION_CSRF', 403, REFUSED]);
});

function expectUntouched(answer: Answer, status?: number): void {
  expect({ vary: answer.headers.get('vary'), cookies: answer.setCookies }).toEqual({
    vary: null,
    cookies: [],
  });
  expect(answer.headers.get('cache-control')).toBeNull();
  if (status !== undefined) expect(answer.status).toBe(status);
}

function pairOf({ setCookies }: Answer): string {
  return setCookies[0].split(';')[0];
}

/** Notes each command that reaches the store. */
function watch(store: SessionStore, commands: string[]): void {
  for (const command of ['load', 'create', 'save', 'touch', 'rename', 'delete', 'atomic'] as const) {
    const original = (store[command] as (...args: unknown[]) => unknown).bind(store);
    Object.assign(store, {
      [command]: (...args: unknown[]) => {
        commands.push(command);
        return original(...args);
      },
    });
  }
}
