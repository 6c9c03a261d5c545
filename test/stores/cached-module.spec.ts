import { jest } from '@jest/globals';
import { CacheModule } from '@nestjs/cache-manager';
import { Inject, Injectable, Logger, Module, type OnModuleInit } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import {
  MemorySessionStore,
  SessionClock,
  SessionModule,
  SessionOptionsError,
  SessionStore,
} from 'nest-session';
import { CachedSessionStore, type CachedSessionStoreOptions } from 'nest-session/cache';
import { aRecord, newKey } from 'nest-session/testing';

const SECRET = 'a secret for tests, of more than 32 characters';
let happened: string[] = [];

@Module({ providers: [{ provide: 'WHERE', useValue: 'here' }], exports: ['WHERE'] })
class WhereModule {}

@Injectable()
class BaseStore extends MemorySessionStore implements OnModuleInit {
  static sessionImports() {
    return [WhereModule];
  }

  constructor(@Inject(SessionClock) clock: SessionClock, @Inject('WHERE') where: string) {
    super(clock);
    happened.push(`made ${where}`);
  }

  override onModuleInit() {
    happened.push('initialised');
  }

  override async close() {
    happened.push('closed');
  }
}

function build(options: Partial<CachedSessionStoreOptions> = {}) {
  const store = CachedSessionStore.with({ base: BaseStore, singleProcess: true, ...options });
  return Test.createTestingModule({
    imports: [CacheModule.register({ isGlobal: true }), SessionModule.forRoot({ secret: SECRET, store })],
  });
}

describe('CachedSessionStore.with()', () => {
  let warn: jest.SpiedFunction<Logger['warn']>;
  beforeEach(() => {
    happened = [];
    warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  });
  afterEach(() => warn.mockRestore());

  it('makes its base by Nest, with what that brings and injects, and closes it at the end', async () => {
    const app = await build().compile();
    await app.init();
    expect(happened).toEqual(['made here', 'initialised']);
    const key = newKey();
    const store = app.get(SessionStore);
    await store.create(key, aRecord());
    expect(await store.load(key)).toBeDefined();
    await app.close();
    expect(happened).toEqual(['made here', 'initialised', 'closed']);
    expect(warn).not.toHaveBeenCalled();
  });

  it('makes no base where the store is overridden', async () => {
    const builder = build().overrideProvider(SessionStore).useClass(MemorySessionStore);
    const app = await (await builder.compile()).init();
    expect(app.get(SessionStore)).toBeInstanceOf(MemorySessionStore);
    await app.close();
    expect(happened).toEqual([]);
  });

  it('fails at the start when its base can not be made', async () => {
    @Injectable()
    class Wrong extends MemorySessionStore {
      constructor(@Inject('NOBODY PROVIDES IT') it: SessionClock) {
        super(it);
      }
    }
    const app = await build({ base: Wrong }).compile();
    await expect(app.init()).rejects.toThrow('NOBODY PROVIDES IT');
  });

  it('warns of a cache in the memory of one process, unless there is only one', async () => {
    const app = await (await build({ singleProcess: false }).compile()).init();
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toContain('lies in the memory of this process');
    await app.close();
  });

  it('knows whether its base expires by itself', async () => {
    class Expiring extends MemorySessionStore {
      override readonly expiresByItself = true;
    }
    expect(new CachedSessionStore(new Expiring(), createCache()).expiresByItself).toBe(true);
    const app = await (await build({ base: Expiring }).compile()).init();
    expect(app.get(SessionStore).expiresByItself).toBe(true);
    await app.close();
  });
});

describe('CachedSessionStore by hand', () => {
  it('leaves a base that it was given open', async () => {
    const base = new MemorySessionStore();
    const close = jest.spyOn(base, 'close');
    await new CachedSessionStore(base, createCache()).close();
    expect(close).not.toHaveBeenCalled();
  });

  it('says what is wrong with its options', () => {
    const base = new MemorySessionStore();
    expect(() => new CachedSessionStore(undefined as never, createCache())).toThrow('.with({ base:');
    expect(() => new CachedSessionStore(base, undefined as never)).toThrow('exactly one Keyv store');
    const tiers = createCache({ stores: [new Keyv(), new Keyv()] });
    expect(() => new CachedSessionStore(base, tiers)).toThrow(SessionOptionsError);
    const wrong = { maxAge: 'soon', cacheTimeout: 0 };
    expect(() => new CachedSessionStore(base, createCache(), wrong)).toThrow(/maxAge.*\n.*cacheTimeout/);
  });
});
