import { Controller, Get, Inject, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  MemorySessionStore,
  Session,
  SESSION_OPTIONS,
  SessionClock,
  SessionCookieCodec,
  SessionModule,
  type SessionOptions,
  type SessionOptionsFactory,
  SessionStore,
} from 'nest-session';
import { FakeClock } from 'nest-session/testing';
import { Browser } from '../support/browser.js';
import { platforms, SECRET, startApp } from '../support/http-app.js';

@Controller()
class Counter {
  @Get()
  count(@Session() session: Session<{ views: number }>) {
    session.set('views', (session.get('views') ?? 0) + 1);
    return session.get('views');
  }
}

@Injectable()
class Config {
  readonly secret = SECRET;
  readonly cookieName = 'from-the-config';
}

@Module({ providers: [Config], exports: [Config] })
class ConfigModule {}

@Injectable()
class OptionsFromConfig implements SessionOptionsFactory {
  constructor(@Inject(Config) private readonly config: Config) {}

  createSessionOptions(): SessionOptions {
    return { secret: this.config.secret, cookie: { name: this.config.cookieName } };
  }
}

@Module({ imports: [ConfigModule], providers: [OptionsFromConfig], exports: [OptionsFromConfig] })
class OptionsModule {}

/** A store that says whether anybody constructed it. */
@Injectable()
class CountedStore extends MemorySessionStore {
  static constructed = 0;

  constructor(@Inject(SessionClock) clock: SessionClock) {
    super(clock);
    CountedStore.constructed++;
  }
}

const compile = (imports: ModuleMetadata['imports']) =>
  Test.createTestingModule({ imports, controllers: [Counter] });

describe('SessionModule', () => {
  beforeEach(() => {
    CountedStore.constructed = 0;
  });

  describe('store', () => {
    const store = new MemorySessionStore();

    @Module({ providers: [{ provide: SessionStore, useClass: CountedStore }], exports: [SessionStore] })
    class StoreModule {}

    it.each([
      ['a class', CountedStore, CountedStore],
      ['useClass', { useClass: CountedStore }, CountedStore],
      ['useValue', { useValue: store }, MemorySessionStore],
      [
        'useFactory with inject and imports',
        {
          imports: [ConfigModule],
          inject: [Config],
          useFactory: (config: Config) => (config.secret ? store : store),
        },
        MemorySessionStore,
      ],
      ['a promise of useFactory', { useFactory: () => Promise.resolve(store) }, MemorySessionStore],
      ['a dynamic module that exports SessionStore', { module: StoreModule }, CountedStore],
    ])('takes %s', async (_, option, expected) => {
      const module = await compile([SessionModule.forRoot({ store: option, secret: SECRET })]).compile();
      expect(module.get(SessionStore)).toBeInstanceOf(expected);
      expect(module.get(Symbol.for('nest-session.SessionStore'))).toBe(module.get(SessionStore));
      await module.close();
    });

    it('takes useExisting, and what a store class brings with it', async () => {
      class BringingStore extends CountedStore {
        static sessionImports() {
          return [ConfigModule];
        }
        constructor(
          @Inject(SessionClock) clock: SessionClock,
          @Inject(Config) readonly config: Config,
        ) {
          super(clock);
        }
      }
      Injectable()(BringingStore);
      const module = await compile([
        SessionModule.forRoot({ store: BringingStore, secret: SECRET }),
      ]).compile();
      expect(module.get<BringingStore>(SessionStore as never).config).toBeInstanceOf(Config);
      await module.close();

      @Module({ providers: [CountedStore], exports: [CountedStore] })
      class Stores {}
      const existing = await compile([
        SessionModule.forRoot({ store: { imports: [Stores], useExisting: CountedStore }, secret: SECRET }),
      ]).compile();
      expect(existing.get(SessionStore)).toBe(existing.get(CountedStore));
      await existing.close();
    });

    it('has the clock of the module in a store of a dynamic module', async () => {
      const clock = new FakeClock(5);
      const module = await compile([
        SessionModule.forRoot({ store: { module: StoreModule }, secret: SECRET }),
      ])
        .overrideProvider(SessionClock)
        .useValue(clock)
        .compile();
      expect(module.get(SessionClock)).toBe(clock);
      expect(CountedStore.constructed).toBe(1);
      await module.close();
    });

    it.each([
      ['a class', CountedStore],
      ['useClass', { useClass: CountedStore }],
      ['a dynamic module', { module: StoreModule }],
    ])('is overridden in one line without being constructed: %s', async (_, option) => {
      const module = await compile([SessionModule.forRoot({ store: option, secret: SECRET })])
        .overrideProvider(SessionStore)
        .useClass(MemorySessionStore)
        .compile();
      expect(CountedStore.constructed).toBe(0);
      expect(module.get(SessionStore)).toBeInstanceOf(MemorySessionStore);
      await module.close();
    });

    it('is closed when the application shuts down', async () => {
      let closed = 0;
      class ClosingStore extends MemorySessionStore {
        override async close(): Promise<void> {
          closed++;
        }
      }
      const module = await compile([
        SessionModule.forRoot({ store: ClosingStore, secret: SECRET }),
      ]).compile();
      await module.init();
      await module.close();
      expect(closed).toBe(1);
    });
  });

  describe.each(platforms)('forRootAsync on %s', (platform) => {
    it.each<[string, Omit<Parameters<typeof SessionModule.forRootAsync>[0], 'store'>]>([
      [
        'useFactory',
        {
          imports: [ConfigModule],
          inject: [Config],
          useFactory: async (config: Config) => ({
            secret: config.secret,
            cookie: { name: config.cookieName },
          }),
        },
      ],
      ['useClass', { imports: [ConfigModule], useClass: OptionsFromConfig }],
      ['useExisting', { imports: [OptionsModule], useExisting: OptionsFromConfig }],
    ])('takes its options from %s, and gives the imports to the store too', async (_, options) => {
      let config: unknown;
      const module = compile([
        SessionModule.forRootAsync({
          ...options,
          imports: [...(options.imports ?? []), ConfigModule],
          store: {
            inject: [Config, SessionClock],
            useFactory: (injected: Config, clock: SessionClock) => {
              config = injected;
              return new MemorySessionStore(clock);
            },
          },
        }),
      ]);
      const { ExpressAdapter } = await import('@nestjs/platform-express');
      const { FastifyAdapter } = await import('@nestjs/platform-fastify');
      const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
      const app = (await module.compile()).createNestApplication(adapter as never, { logger: false });
      await app.listen(0, '127.0.0.1');
      const browser = new Browser((await app.getUrl()).replace('[::1]', '127.0.0.1'));
      const answer = await browser.get('/');
      expect(answer.setCookies).toEqual([expect.stringMatching(/^from-the-config=/)]);
      expect((await browser.get('/')).text).toBe('2');
      expect(config).toBeInstanceOf(Config);
      await app.close();
    });
  });

  it('refuses forRootAsync without a way to make the options', () => {
    expect(() => SessionModule.forRootAsync({ store: MemorySessionStore })).toThrow(
      /needs useFactory, useClass/,
    );
  });

  it('checks what a factory returns as it checks what forRoot gets', async () => {
    const starting = compile([
      SessionModule.forRootAsync({ store: MemorySessionStore, useFactory: () => ({ secret: 'short' }) }),
    ]).compile();
    await expect(starting).rejects.toThrow(/secret has fewer than 32 characters/);
  });

  it('runs without HTTP: in a worker or a script', async () => {
    const module = await compile([
      SessionModule.forRoot({ store: MemorySessionStore, secret: SECRET }),
    ]).compile();
    await module.init();
    expect(module.get(SessionStore)).toBeInstanceOf(MemorySessionStore);
    await module.close();
  });

  describe.each(platforms)('overrides on %s', (platform) => {
    it('lets a test override the options', async () => {
      const app = await startApp({
        platform,
        controllers: [Counter],
        override: (builder) =>
          builder
            .overrideProvider(SESSION_OPTIONS)
            .useValue({ secret: SECRET, cookie: { name: 'overridden' } }),
      });
      expect((await new Browser(app.url).get('/')).setCookies).toEqual([
        expect.stringMatching(/^overridden=/),
      ]);
      await app.close();
    });

    it('lets a test override the cookie codec', async () => {
      const readable = {
        encode: (id: string) => `plain:${id}`,
        decode: (value: string) =>
          value.startsWith('plain:') ? { id: value.slice(6), isSignedByOldSecret: false } : undefined,
      };
      const app = await startApp({
        platform,
        controllers: [Counter],
        override: (builder) => builder.overrideProvider(SessionCookieCodec).useValue(readable),
      });
      const browser = new Browser(app.url);
      expect((await browser.get('/')).setCookies).toEqual([expect.stringMatching(/^sessionid=plain:/)]);
      expect((await browser.get('/')).text).toBe('2');
      await app.close();
    });
  });
});
