import { Controller, Get, Injectable, Module, Optional, type Provider } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  Authenticated,
  CurrentUser,
  MemorySessionStore,
  Session,
  SessionAuth,
  type SessionAuthOptions,
  SessionGuard,
  SessionModule,
  type SessionModuleAsyncOptions,
  type SessionRecord,
  SessionStore,
  type SessionStoreOption,
} from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, SECRET, startApp } from '../support/http-app.js';
import { AppUsers, loggedIn, newPerson, People, type Person } from '../support/people.js';

/** What a user provider injects. */
@Injectable()
class Directory extends AppUsers {}

@Module({ providers: [Directory], exports: [Directory] })
class DirectoryModule {}

@Injectable()
class InjectingUsers extends AppUsers {
  constructor(readonly directory: Directory) {
    super();
  }
  override findById(id: string) {
    return this.directory.findById(id);
  }
}

@Controller('short')
class Short {
  @Get() @Authenticated() page(@CurrentUser() user: Person) {
    return user.id;
  }
}

/** The four methods that are enough for a store. */
@Injectable()
class FourMethodStore extends SessionStore {
  readonly #store = new MemorySessionStore();
  load(key: string) {
    return this.#store.load(key);
  }
  create(key: string, record: SessionRecord) {
    return this.#store.create(key, record);
  }
  save(key: string, change: Parameters<SessionStore['save']>[1]) {
    return this.#store.save(key, change);
  }
  delete(key: string, until?: number) {
    return this.#store.delete(key, until);
  }
}

const compile = (auth: unknown, store: SessionStoreOption = MemorySessionStore) =>
  Test.createTestingModule({
    imports: [SessionModule.forRoot({ store, secret: SECRET, auth: auth as SessionAuthOptions })],
  }).compile();

describe('auth options', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no users', { loginUrl: '/login' }, /auth.users is missing: write a class/],
    [
      'an unknown name',
      { users: AppUsers, user: AppUsers },
      /auth.user is not an option: the options are users/,
    ],
    [
      'a login page elsewhere',
      { users: AppUsers, loginUrl: 'https://login.example' },
      /auth.loginUrl is no path/,
    ],
    [
      'a login page of another host',
      { users: AppUsers, loginUrl: '//login.example' },
      /auth.loginUrl is no path/,
    ],
    ['a relative page', { users: AppUsers, confirmUrl: 'confirm' }, /auth.confirmUrl is no path/],
    ['required as a text', { users: AppUsers, required: 'yes' }, /auth.required is true or false/],
    [
      'no limit',
      { users: AppUsers, maxSessions: { onExceed: 'refuse' } },
      /auth.maxSessions.limit is a whole/,
    ],
    [
      'a limit of none',
      { users: AppUsers, maxSessions: { limit: 0, onExceed: 'refuse' } },
      /limit is a whole/,
    ],
    [
      'no consequence',
      { users: AppUsers, maxSessions: { limit: 1 } },
      /onExceed is 'end-oldest' or 'refuse'/,
    ],
    ['a number for maxSessions', { users: AppUsers, maxSessions: 3 }, /onExceed is 'end-oldest'/],
    ['no duration', { users: AppUsers, rememberFor: '90' }, /auth.rememberFor is no duration/],
    [
      'no time for a second factor',
      { users: AppUsers, pendingTimeout: 0 },
      /auth.pendingTimeout is no duration/,
    ],
  ])('are checked at start-up: %s', async (_, auth, message) => {
    await expect(compile(auth)).rejects.toThrow(message);
  });

  it('are checked together with all others', async () => {
    const starting = Test.createTestingModule({
      imports: [
        SessionModule.forRoot({
          store: MemorySessionStore,
          secret: 'short',
          auth: { users: AppUsers, loginUrl: 'login' },
        }),
      ],
    }).compile();
    await expect(starting).rejects.toThrow(/auth.loginUrl is no path[^]*secret has fewer/);
  });

  it('are no matter of the factory of forRootAsync: they stand beside the store', async () => {
    const useFactory = () => ({ secret: SECRET, auth: { users: AppUsers } });
    const starting = Test.createTestingModule({
      imports: [SessionModule.forRootAsync({ store: MemorySessionStore, useFactory })],
    }).compile();
    await expect(starting).rejects.toThrow(/auth is not an option: write it beside store/);
  });

  it('maxSessions needs a store that finds sessions by user', async () => {
    const auth = { users: AppUsers, maxSessions: { limit: 1, onExceed: 'refuse' } };
    await expect(compile(auth, FourMethodStore)).rejects.toThrow(
      /auth.maxSessions needs a store that finds sessions by user, which FourMethodStore does not/,
    );
  });
});

describe.each(platforms)('the user provider on %s', (platform) => {
  const meOf = async (auth: SessionAuthOptions, providers: Provider[] = []) => {
    const app = await startApp({ platform, controllers: [People], providers, session: { auth } });
    try {
      const person = newPerson();
      const answer = await (await loggedIn(new Browser(app.url), person)).get('/me');
      return [answer.status, answer.json().id === person.id];
    } finally {
      await app.close();
    }
  };

  it.each<[string, SessionAuthOptions]>([
    ['a class', { users: AppUsers }],
    ['a class that injects', { users: InjectingUsers, imports: [DirectoryModule] }],
    ['useClass', { users: { useClass: InjectingUsers }, imports: [DirectoryModule] }],
    ['useExisting', { users: { useExisting: Directory }, imports: [DirectoryModule] }],
    ['useValue', { users: { useValue: new AppUsers() } }],
    [
      'useFactory',
      {
        users: { useFactory: async (directory: Directory) => directory, inject: [Directory] },
        imports: [DirectoryModule],
      },
    ],
  ])('can be given as %s', async (_, auth) => {
    expect(await meOf(auth)).toEqual([200, true]);
  });

  it('is overridden in a test as any provider, and so is the guard', async () => {
    class Nobody extends AppUsers {
      override async findById() {
        return undefined;
      }
    }
    const options = { platform, controllers: [People], session: { auth: { users: AppUsers } } };
    const override = await startApp({
      ...options,
      override: (builder) => builder.overrideProvider(AppUsers).useClass(Nobody),
    });
    const open = await startApp({
      ...options,
      override: (builder) => builder.overrideGuard(SessionGuard).useValue({ canActivate: () => true }),
    });
    try {
      const ada = await loggedIn(new Browser(override.url), newPerson());
      expect((await ada.get('/me')).status).toBe(401);
      expect((await new Browser(open.url).get('/devices')).status).not.toBe(401);
    } finally {
      await Promise.all([override.close(), open.close()]);
    }
  });

  it('comes with forRootAsync too, and required closes all routes there', async () => {
    const start = async (options: Omit<SessionModuleAsyncOptions, 'store' | 'useFactory'>) => {
      @Module({
        imports: [
          SessionModule.forRootAsync({
            store: MemorySessionStore,
            useFactory: () => ({ secret: SECRET }),
            ...options,
          }),
        ],
        controllers: [People, Short],
      })
      class AppModule {}
      return AppModule;
    };
    const app = await startAsync(platform, await start({ auth: { users: AppUsers, required: true } }));
    try {
      expect((await new Browser(app.url).get('/unused')).status).toBe(401);
    } finally {
      await app.close();
    }
  });

  it('a store without an index of users: logins work, lists say what is missing, a new password ends the others', async () => {
    const session = { auth: { users: AppUsers } };
    const app = await startApp({ platform, controllers: [People], store: FourMethodStore, session });
    try {
      const person = newPerson();
      const [here, there] = [
        await loggedIn(new Browser(app.url), person),
        await loggedIn(new Browser(app.url), person),
      ];
      expect((await here.get('/devices')).status).toBe(500);
      await expect(app.get<SessionAuth<Person>>(SessionAuth).sessions(person)).rejects.toThrow(
        'FourMethodStore has no findByUser(): implement it, or use a store that has it.',
      );
      expect((await here.post('/password?to=another')).status).toBe(201);
      expect((await here.get('/me')).status).toBe(200);
      expect((await there.get('/me')).json().code).toBe('SESSION_EXPIRED');
      await loggedIn(there, person);
      expect((await there.post('/logout')).status).toBe(201);
      expect((await there.get('/me')).status).toBe(401);
    } finally {
      await app.close();
    }
  });
});

describe('SessionAuth', () => {
  const startWith = (dependent: Provider) =>
    Test.createTestingModule({
      imports: [SessionModule.forRoot({ store: MemorySessionStore, secret: SECRET })],
      providers: [dependent],
    }).compile();

  it('says what is missing where it is injected and logins are not configured', async () => {
    @Injectable()
    class Passwords {
      constructor(readonly auth: SessionAuth<Person>) {}
    }
    await expect(startWith(Passwords)).rejects.toThrow(
      /auth is missing, but SessionAuth is injected: write auth: \{ users: AppUsers \} beside store/,
    );
  });

  it('is undefined there for who can do without', async () => {
    @Injectable()
    class Greeting {
      constructor(@Optional() readonly auth?: SessionAuth<Person>) {}
    }
    const module = await startWith(Greeting);
    expect(module.get(Greeting).auth).toBeUndefined();
    await module.close();
  });

  it.each([undefined, null, '', NaN, {}, 'x'.repeat(256)])('takes %p for no id of a user', async (id) => {
    class Broken extends AppUsers {
      override idOf(): string {
        return id as string;
      }
    }
    const module = await compile({ users: Broken });
    const auth = module.get<SessionAuth<Person>>(SessionAuth);
    await expect(auth.revokeAll(newPerson())).rejects.toThrow(/idOf\(user\) returned what is no id/);
    await module.close();
  });

  it('says what it takes when it is given no session of a request', async () => {
    const module = await compile({ users: AppUsers });
    const auth = module.get<SessionAuth<Person>>(SessionAuth);
    await expect(auth.user({} as Session)).rejects.toThrow(/takes the session of a request/);
    await module.close();
  });

  it('refresh() is refused where nobody looked at the user before the change', async () => {
    @Controller('late')
    class Late {
      constructor(private readonly auth: SessionAuth<Person>) {}
      @Get()
      async page(@Session() session: Session) {
        const person = newPerson();
        await this.auth.login(session, person);
        await session.save();
        return {};
      }
      @Get('refresh')
      async refresh(@Session() session: Session) {
        const person = { ...newPerson(), id: String(session.userId) };
        return this.auth.refresh(session, person).then(
          () => ({}),
          (error: Error) => ({ message: error.message }),
        );
      }
    }
    const session = { auth: { users: AppUsers } };
    const app = await startApp({ platform: 'express', controllers: [Late], session });
    const browser = new Browser(app.url);
    await browser.get('/late');
    expect((await browser.get('/late/refresh')).json().message).toMatch(
      /put @Authenticated\(\) on the route/,
    );
    await app.close();
  });
});

async function startAsync(platform: (typeof platforms)[number], module: new () => object) {
  const { NestFactory } = await import('@nestjs/core');
  const { ExpressAdapter } = await import('@nestjs/platform-express');
  const { FastifyAdapter } = await import('@nestjs/platform-fastify');
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const app = await NestFactory.create(module, adapter as never, { logger: false });
  await app.listen(0, '127.0.0.1');
  return { url: (await app.getUrl()).replace('[::1]', '127.0.0.1'), close: () => app.close() };
}
