import { jest } from '@jest/globals';
import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  Get,
  type INestApplication,
  Injectable,
  Module,
  Param,
  Post,
  type Provider,
  Req,
  type Type,
  UnauthorizedException,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, HttpAdapterHost } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  Authenticated,
  MemorySessionStore,
  NotAuthenticatedException,
  Public,
  Session,
  type SessionAuthOptions,
  SessionExpiredException,
  SessionGuard,
  SessionModule,
  SessionStore,
} from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, SECRET, startApp, type TestApp } from '../support/http-app.js';
import { AppUsers, loggedIn, lookUps, newPerson, people, People, type Person } from '../support/people.js';
import type { AnySession } from '../support/stage.js';

/** As Nest's documentation writes one: it takes the user from the request. */
@Injectable()
class NamedAda implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { user } = context.switchToHttp().getRequest<{ user?: Person }>();
    return user?.name === 'Ada';
  }
}

@Controller('open')
class Open {
  @Get() page() {
    return 'open';
  }
  @Get('within') @Authenticated({ within: '10m' }) within() {
    return 'recent';
  }
  @Get('level') @Authenticated({ level: 2 }) level() {
    return 'strong';
  }
  @Get('guarded') @UseGuards(SessionGuard) guarded() {
    return 'guarded';
  }
  @Get('role') @Authenticated() @UseGuards(NamedAda) role() {
    return 'Ada';
  }
  @Get('role-above') @UseGuards(NamedAda) @Authenticated() roleAbove() {
    return 'Ada';
  }
  @Post('refuse') @UseGuards(NamedAda) refuse(@Session() session: AnySession) {
    session.set('note', 'never');
    return {};
  }
}

@Controller('closed')
@Authenticated({ within: '10m' })
class Closed {
  @Get() page() {
    return 'closed';
  }
  @Get('public') @Public() open() {
    return 'open';
  }
  @Get('both') @Authenticated({ level: 2 }) both() {
    return 'both';
  }
  @Get('longer') @Authenticated({ within: '1h' }) longer() {
    return 'longer';
  }
  @Get('whenever') @Authenticated({ within: undefined }) whenever() {
    return 'whenever';
  }
}

@Controller('public')
@Public()
class AllPublic {
  @Get() page() {
    return 'open';
  }
  @Get('closed') @Authenticated() closed() {
    return 'closed';
  }
}

@Controller('staff')
@Authenticated({ loginUrl: '/staff/login' })
class Staff {
  @Get() page() {
    return 'staff';
  }
  @Get('login') login() {
    return 'guarded by mistake';
  }
  @Get('strong') @Authenticated({ level: 2 }) strong() {
    return 'strong';
  }
  @Get('vault') @Authenticated({ loginUrl: '/vault/login', within: '10m' }) vault() {
    return 'vault';
  }
  @Get('plain') @Authenticated({ loginUrl: undefined }) plain() {
    return 'plain';
  }
}

@Controller('inherited')
class Inherited extends Closed {}

@Catch(UnauthorizedException)
class TeapotFilter implements ExceptionFilter {
  constructor(private readonly adapterHost: HttpAdapterHost) {}
  catch(exception: UnauthorizedException, host: ArgumentsHost): void {
    const { code, redirectTo } = exception as NotAuthenticatedException;
    this.adapterHost.httpAdapter.reply(host.switchToHttp().getResponse(), { code, redirectTo }, 418);
  }
}

@Controller('filtered')
@UseFilters(TeapotFilter)
class Filtered {
  @Get() @Authenticated() page() {
    return 'closed';
  }
}

/** Hands the guard what a resolver or a gateway would be guarded by. */
@Controller('elsewhere')
class Elsewhere {
  constructor(private readonly guard: SessionGuard) {}

  @Get(':type')
  async page(@Param('type') type: string, @Req() request: object) {
    const context = {
      getType: () => type,
      getClass: () => Elsewhere,
      getHandler: () => this.page,
      getArgByIndex: (index: number) => (index === 2 ? { req: request } : undefined),
    };
    return { isIn: await this.guard.canActivate(context as unknown as ExecutionContext) };
  }
}

/** A page that is not open, though visitors are sent to it. */
@Controller('login')
class LoginPage {
  @Get() page() {
    return 'the form';
  }
}

const html = { accept: 'text/html,application/xhtml+xml' };
const controllers = [Open, Closed, AllPublic, Inherited, Filtered, People];

describe.each(platforms)('the guard on %s', (platform) => {
  const apps: TestApp[] = [];
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });
  const start = async (
    auth: Partial<SessionAuthOptions> = {},
    rest: { providers?: Provider[]; controllers?: Type[]; setUp?: (app: INestApplication) => unknown } = {},
  ) => {
    const session = { auth: { users: AppUsers, ...auth } };
    const app = await startApp({ platform, controllers, session, ...rest });
    apps.push(app);
    return { app, visitor: () => new Browser(app.url) };
  };
  const statusOf = async (browser: Browser, path: string) => (await browser.get(path)).status;

  it('lets in who is logged in, by a mark on the route, on the controller, or by @UseGuards', async () => {
    const { visitor } = await start();
    const [anonymous, ada] = [visitor(), await loggedIn(visitor(), newPerson())];
    const paths = ['/me', '/closed', '/open/guarded', '/public/closed', '/inherited'];
    for (const path of paths) expect([path, await statusOf(anonymous, path)]).toEqual([path, 401]);
    for (const path of paths) expect([path, await statusOf(ada, path)]).toEqual([path, 200]);
  });

  it('@Public() opens a route of a closed controller, and a controller but for its @Authenticated() routes', async () => {
    const { visitor } = await start();
    for (const path of ['/closed/public', '/public', '/inherited/public', '/open'])
      expect(await statusOf(visitor(), path)).toBe(200);
  });

  it('the route wins option by option: what it does not name is as the controller says', async () => {
    const { app, visitor } = await start();
    const [ada, strong] = [await loggedIn(visitor(), newPerson()), visitor()];
    await strong.post(`/login?user=${newPerson().id}&level=2`);
    expect(await statusOf(ada, '/closed/both')).toBe(403);
    expect(await statusOf(strong, '/closed/both')).toBe(200);
    app.clock.advance('30m');
    expect((await strong.get('/closed/both')).json().code).toBe('REAUTHENTICATION_REQUIRED');
    expect((await ada.get('/closed')).json().code).toBe('REAUTHENTICATION_REQUIRED');
    expect(await statusOf(ada, '/closed/longer')).toBe(200);
    app.clock.advance('2h');
    expect(await statusOf(ada, '/closed/longer')).toBe(403);
    expect(await statusOf(ada, '/closed/whenever')).toBe(200);
  });

  it('required closes every route but the public ones, unknown paths stay 404', async () => {
    const { visitor } = await start({ required: true });
    const browser = visitor();
    for (const path of ['/open', '/read', '/unused', '/closed'])
      expect([path, await statusOf(browser, path)]).toEqual([path, 401]);
    for (const path of ['/public', '/closed/public']) expect(await statusOf(browser, path)).toBe(200);
    expect(await statusOf(browser, '/nothing/here')).toBe(404);
  });

  it('guards everything too when bound globally by the application', async () => {
    const { visitor } = await start({}, { providers: [{ provide: APP_GUARD, useClass: SessionGuard }] });
    expect(await statusOf(visitor(), '/open')).toBe(401);
    expect(await statusOf(visitor(), '/public')).toBe(200);
  });

  it('costs a public or unmarked route no store command, no cookie and no Vary', async () => {
    const { app, visitor } = await start();
    const ada = await loggedIn(visitor(), newPerson());
    const loads = jest.spyOn(app.get<SessionStore>(SessionStore), 'load');
    for (const path of ['/open', '/public', '/closed/public']) {
      const { headers, setCookies } = await ada.get(path);
      expect([headers.get('vary'), headers.get('cache-control'), setCookies]).toEqual([null, null, []]);
    }
    expect(loads).not.toHaveBeenCalled();
  });

  it('costs an anonymous visitor no store command, and says Vary', async () => {
    const { app, visitor } = await start();
    const loads = jest.spyOn(app.get<SessionStore>(SessionStore), 'load');
    const answer = await visitor().get('/me');
    expect([answer.headers.get('vary'), answer.setCookies]).toEqual(['Cookie', []]);
    expect(loads).not.toHaveBeenCalled();
  });

  it('loads the user once a request, whoever asks', async () => {
    const { visitor } = await start();
    const person = newPerson();
    const ada = await loggedIn(visitor(), person);
    expect(lookUps.get(person.id)).toBeUndefined(); // the login had the user in hand
    await ada.get('/maybe');
    expect(lookUps.get(person.id)).toBe(1);
    await ada.get('/me');
    expect(lookUps.get(person.id)).toBe(2);
    await ada.get('/unused');
    expect(lookUps.get(person.id)).toBe(2);
  });

  it('tells its states apart, each with a code and a status', async () => {
    const { app, visitor } = await start();
    const codeOf = async (browser: Browser, path = '/me') => {
      const { status, headers, json } = await browser.get(path);
      expect(headers.get('location')).toBeNull();
      return [status, json().code];
    };
    expect(await codeOf(visitor())).toEqual([401, 'NOT_AUTHENTICATED']);
    const shopper = visitor();
    await shopper.post('/fill');
    expect(await codeOf(shopper)).toEqual([401, 'NOT_AUTHENTICATED']);
    const pending = visitor();
    await pending.post(`/first-factor?user=${newPerson().id}`);
    expect(await codeOf(pending)).toEqual([401, 'SECOND_FACTOR_REQUIRED']);
    const ada = await loggedIn(visitor(), newPerson());
    expect(await codeOf(ada, '/open/level')).toEqual([403, 'SECOND_FACTOR_REQUIRED']);
    app.clock.advance('11m');
    expect(await codeOf(ada, '/open/within')).toEqual([403, 'REAUTHENTICATION_REQUIRED']);
    const stale = visitor();
    await stale.jar.setCookie(`sessionid=${await ada.cookie('sessionid')}`, stale.origin);
    await ada.post('/confirm');
    expect(await codeOf(stale)).toEqual([409, 'SESSION_ROTATED']);
    app.clock.advance('15d');
    expect(await codeOf(ada)).toEqual([401, 'SESSION_EXPIRED']);
  });

  it.each([
    ['a page that needs a login', '/me?tab=1&x=%26', undefined, '/login?next=%2Fme%3Ftab%3D1%26x%3D%2526'],
    ['a page whose session expired', '/me', 'expired', '/login?next=%2Fme&reason=expired'],
    ['a page that needs a second factor', '/me', 'pending', '/otp?next=%2Fme&reason=second-factor'],
    ['a page that needs a level', '/open/level', 'login', '/otp?next=%2Fopen%2Flevel&reason=second-factor'],
    [
      'a page that needs a recent login',
      '/open/within',
      'old',
      '/confirm?next=%2Fopen%2Fwithin&reason=confirm',
    ],
  ])('sends %s to the right page', async (_, path, state, location) => {
    const { app, visitor } = await start({
      loginUrl: '/login',
      secondFactorUrl: '/otp',
      confirmUrl: '/confirm',
    });
    const browser = visitor();
    if (state === 'pending') await browser.post(`/first-factor?user=${newPerson().id}`);
    else if (state) await loggedIn(browser, newPerson());
    app.clock.advance(state === 'expired' ? '15d' : state === 'old' ? '11m' : '0s');
    const answer = await browser.get(path, html);
    expect([answer.status, answer.headers.get('location')]).toEqual([302, location]);
    expect(answer.headers.get('vary')).toContain('Cookie');
    expect(answer.setCookies).toEqual([]);
  });

  it.each<[string, Partial<SessionAuthOptions>]>([
    ['beside one of the module', { loginUrl: '/login' }],
    ['where the module has none', {}],
  ])('sends the pages of a controller to a login page of its own, %s', async (_, auth) => {
    const { app, visitor } = await start(auth, { controllers: [Staff, People] });
    const locationOf = async (browser: Browser, path: string) => {
      const answer = await browser.get(path, html);
      return [answer.status, answer.headers.get('location')];
    };
    expect(await locationOf(visitor(), '/staff')).toEqual([302, '/staff/login?next=%2Fstaff']);
    expect(await locationOf(visitor(), '/staff/vault')).toEqual([302, '/vault/login?next=%2Fstaff%2Fvault']);
    expect(await locationOf(visitor(), '/staff/plain')).toEqual(
      auth.loginUrl ? [302, '/login?next=%2Fstaff%2Fplain'] : [401, null],
    );
    expect(await locationOf(visitor(), '/staff/login')).toEqual([401, null]); // not in circles
    expect((await visitor().get('/staff', { accept: 'application/json' })).status).toBe(401);

    const ada = await loggedIn(visitor(), newPerson());
    expect(await locationOf(ada, '/staff/strong')).toEqual([
      302,
      '/staff/login?next=%2Fstaff%2Fstrong&reason=second-factor',
    ]);
    app.clock.advance('11m');
    expect(await locationOf(ada, '/staff/vault')).toEqual([
      302,
      '/vault/login?next=%2Fstaff%2Fvault&reason=confirm',
    ]);
    app.clock.advance('15d');
    expect(await locationOf(ada, '/staff')).toEqual([302, '/staff/login?next=%2Fstaff&reason=expired']);
  });

  it('sends to the pages of the module for other proofs, whatever login page a controller has', async () => {
    const pages = { secondFactorUrl: '/otp', confirmUrl: '/confirm' };
    const { app, visitor } = await start(pages, { controllers: [Staff, People] });
    const ada = await loggedIn(visitor(), newPerson());
    const strong = await ada.get('/staff/strong', html);
    expect(strong.headers.get('location')).toBe('/otp?next=%2Fstaff%2Fstrong&reason=second-factor');
    app.clock.advance('11m');
    const vault = await ada.get('/staff/vault', html);
    expect(vault.headers.get('location')).toBe('/confirm?next=%2Fstaff%2Fvault&reason=confirm');
  });

  it('sends nothing but pages: programs and forms get the exception', async () => {
    const { visitor } = await start({ loginUrl: '/login' });
    expect((await visitor().get('/me', { accept: 'application/json' })).status).toBe(401);
    expect((await visitor().post('/me/rename', html)).status).toBe(401);
    expect((await visitor().get('/me', { accept: '*/*' })).status).toBe(401);
  });

  it('keeps the query and the fragment of the login page', async () => {
    const { visitor } = await start({ loginUrl: '/login?lang=de#form' });
    const { headers } = await visitor().get('/me', html);
    expect(headers.get('location')).toBe('/login?lang=de&next=%2Fme#form');
  });

  it('sends nobody in circles when the login page is guarded itself', async () => {
    const { visitor } = await start({ loginUrl: '/login', required: true }, { controllers: [LoginPage] });
    const answer = await visitor().get('/login?next=%2Fx', html);
    expect([answer.status, answer.headers.get('location')]).toEqual([401, null]);
  });

  it.each<[string, Parameters<typeof start>[1], string]>([
    ['of a controller', {}, '/filtered'],
    [
      'of APP_FILTER in the root module',
      { providers: [{ provide: APP_FILTER, useClass: TeapotFilter }] },
      '/me',
    ],
    [
      'of useGlobalFilters',
      { setUp: (app) => app.useGlobalFilters(new TeapotFilter(app.get(HttpAdapterHost))) },
      '/me',
    ],
  ])('a filter %s wins over the redirect, and learns where it would have gone', async (_, rest, path) => {
    const { visitor } = await start({ loginUrl: '/login' }, rest);
    const answer = await visitor().get(path, html);
    expect([answer.status, answer.json()]).toEqual([
      418,
      { code: 'NOT_AUTHENTICATED', redirectTo: `/login?next=${encodeURIComponent(path)}` },
    ]);
  });

  it('runs before other guards of the same route, which find the user as request.user', async () => {
    const { visitor } = await start();
    const [ada, bob] = [
      await loggedIn(visitor(), newPerson('Ada')),
      await loggedIn(visitor(), newPerson('Bob')),
    ];
    for (const path of ['/open/role', '/open/role-above']) {
      expect([path, await statusOf(ada, path)]).toEqual([path, 200]);
      expect([path, await statusOf(bob, path)]).toEqual([path, 403]);
      expect([path, await statusOf(visitor(), path)]).toEqual([path, 401]);
    }
  });

  it('a guard that refuses leaves the session as it was', async () => {
    const { visitor } = await start();
    const ada = await loggedIn(visitor(), newPerson());
    const before = (await ada.get('/read')).json();
    const refused = await ada.post('/open/refuse');
    expect([refused.status, refused.setCookies]).toEqual([403, []]);
    expect((await ada.get('/read')).json()).toEqual(before);
  });

  it('a touch is written though the guard refuses', async () => {
    const { app, visitor } = await start();
    const ada = await loggedIn(visitor(), newPerson());
    app.clock.advance('13d');
    expect(await statusOf(ada, '/open/level')).toBe(403);
    app.clock.advance('13d');
    expect(await statusOf(ada, '/me')).toBe(200);
  });

  it.each<[string, (person: Person, app: TestApp) => void]>([
    ['is deleted', (person) => people.delete(person.id)],
    ['is disabled', (person) => (person.isDisabled = true)],
    ['has another password', (person) => (person.passwordHash = 'another')],
    ['has no password any more', (person) => (person.passwordHash = undefined)],
    ['has logged out everywhere', (person, app) => (person.validAfter = new Date(app.clock.now() + 1))],
  ])('a user who %s is out at the next request, and the session ends at once', async (_, change) => {
    const { app, visitor } = await start();
    const person = newPerson();
    const [ada, another] = [await loggedIn(visitor(), person), await loggedIn(visitor(), person)];
    const store = app.get<MemorySessionStore>(SessionStore);
    expect(await store.findByUser(person.id)).toHaveLength(2);
    change(person, app);
    const answer = await ada.get('/me');
    expect([answer.status, answer.json().code, answer.setCookies]).toEqual([401, 'SESSION_EXPIRED', []]);
    expect(await store.findByUser(person.id)).toHaveLength(1);
    expect((await another.get('/maybe')).json()).toEqual({ id: null, name: null });
    expect(await store.findByUser(person.id)).toHaveLength(0);
    expect((await ada.get('/me')).json().code).toBe('SESSION_EXPIRED');
  });

  it('a page that only looks for the user goes on anonymously when the session ends under it, and may write', async () => {
    const { visitor } = await start();
    const person = newPerson();
    const ada = await loggedIn(visitor(), person);
    person.isDisabled = true;
    const answer = await ada.post('/maybe/note');
    expect([answer.status, answer.json(), answer.setCookies.length]).toEqual([201, { id: null }, 1]);
    expect((await ada.get('/read')).json()).toMatchObject({ note: 'nobody', user: null });
  });

  it('a user who logs in again after logging out everywhere is in', async () => {
    const { app, visitor } = await start();
    const person = newPerson();
    const ada = await loggedIn(visitor(), person);
    person.validAfter = new Date(app.clock.now());
    expect(await statusOf(ada, '/me')).toBe(200); // at this very moment: not before
    app.clock.advance('1s');
    person.validAfter = new Date(app.clock.now());
    expect(await statusOf(ada, '/me')).toBe(401);
    await loggedIn(ada, person);
    expect(await statusOf(ada, '/me')).toBe(200);
  });

  it('@CurrentUser() gives the user or one property, and undefined for nobody', async () => {
    const { visitor } = await start();
    const person = newPerson('Grace');
    const grace = await loggedIn(visitor(), person);
    expect((await grace.get('/maybe')).json()).toEqual({ id: person.id, name: 'Grace' });
    expect((await visitor().get('/maybe')).json()).toEqual({ id: null, name: null });
  });

  it('guards a resolver whose context has the request, and lets in nobody by what it does not know', async () => {
    const { visitor } = await start({}, { controllers: [People, Elsewhere], providers: [SessionGuard] });
    const ada = await loggedIn(visitor(), newPerson());
    expect((await ada.get('/elsewhere/graphql')).json()).toEqual({ isIn: true });
    expect((await visitor().get('/elsewhere/graphql')).json().code).toBe('NOT_AUTHENTICATED');
    expect((await ada.get('/elsewhere/ws')).status).toBe(500);
  });

  it('a failing user provider is an error and not an anonymous visitor', async () => {
    class Failing extends AppUsers {
      override findById(): Promise<never> {
        return Promise.reject(new ForbiddenException('the database is away'));
      }
    }
    const { visitor } = await start({ users: Failing });
    const ada = await loggedIn(visitor(), newPerson());
    expect((await ada.get('/me')).json().message).toBe('the database is away');
    expect((await ada.get('/read')).json().user).not.toBeNull();
  });
});

describe('a route that needs a login, but no users are configured', () => {
  it('fails when the application starts, and says what to write', async () => {
    @Module({
      imports: [SessionModule.forRoot({ store: MemorySessionStore, secret: SECRET })],
      controllers: [Closed],
    })
    class AppModule {}
    await expect(Test.createTestingModule({ imports: [AppModule] }).compile()).rejects.toThrow(
      /write auth: \{ users: AppUsers \} beside store/,
    );
  });

  it.each([
    { within: '10' },
    { within: 0 },
    { level: NaN },
    { loginUrl: 'https://login.example' },
    { loginUrl: '' },
  ])('refuses %p when the class is written', (options) => {
    expect(() => Authenticated(options)).toThrow(/@Authenticated\(\{ (within|level|loginUrl) \}\) takes/);
  });
});

it('the exceptions are those of Nest: a filter that catches them catches ours', () => {
  expect(new NotAuthenticatedException()).toBeInstanceOf(UnauthorizedException);
  expect(new SessionExpiredException()).toBeInstanceOf(UnauthorizedException);
});
