import { jest } from '@jest/globals';
import { Logger, Module } from '@nestjs/common';
import { CACHE_MANAGER, CacheModule } from '@nestjs/cache-manager';
import { Test } from '@nestjs/testing';
import { type Cache, createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import {
  clearSessions,
  SessionFormatException,
  SessionModule,
  SessionOptionsError,
  SessionStore,
} from 'nest-session';
import { CacheSessionStore } from 'nest-session/cache';
import { aChange, aRecord, newKey } from 'nest-session/testing';

const SECRET = 'a secret for tests, of more than 32 characters';

/** A cache whose entries a test can look at. */
function openCache(options: ConstructorParameters<typeof Keyv>[0] = {}) {
  const entries = new Map<string, unknown>();
  const cache = createCache({ stores: [new Keyv({ store: entries, ...options })] });
  return { cache, entries, store: new CacheSessionStore(cache) };
}

describe('What the cache keeps', () => {
  it('is named by prefix and namespace, however the adapter spells them', async () => {
    const { cache, entries } = openCache({ namespace: 'shop' });
    const [key, other] = [newKey(), newKey()];
    await new CacheSessionStore(cache).create(key, aRecord());
    await new CacheSessionStore(cache, { prefix: 'shop:' }).create(other, aRecord());
    expect([...entries.keys()]).toEqual([`shop:nest-session:${key}`, `shop:shop:${other}`]);
  });

  it('goes through the serialisation and the compression of its Keyv', async () => {
    const compression = {
      compress: async (value: unknown) => [...String(value)].toReversed().join(''),
      decompress: async (value: unknown) => [...String(value)].toReversed().join(''),
    };
    const { store, entries } = openCache({ compression: compression as never });
    const key = newKey();
    const record = aRecord({ values: { toJSON: '"a name like others"' } });
    await store.create(key, record);
    expect(await store.load(key)).toEqual(record);
    expect(String([...entries.values()][0])).toContain('srehto ekil eman a');
  });

  it('is shared with nobody: no object that a caller could change', async () => {
    const store = new CacheSessionStore(createCache()); // keeps objects as they are
    const key = newKey();
    const values = { a: '1' };
    await store.create(key, aRecord({ values }));
    values.a = '2';
    const loaded = await store.load(key);
    Object.assign(loaded?.values ?? {}, { a: '3' });
    expect((await store.load(key))?.values).toEqual({ a: '1' });
  });

  it('is no session when nobody can read it, and is warned of once', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const { cache, entries, store } = openCache({ namespace: 'n' });
    for (const text of ['no JSON', '7', '[]', 'null', '{"format":1}']) {
      const key = newKey();
      await cache.set(`nest-session:${key}`, text);
      expect(await store.load(key)).toBeUndefined();
      expect(await store.save(key, aChange())).toBe(false);
    }
    const key = newKey();
    entries.set(`n:nest-session:${key}`, 'not even an entry');
    expect(await store.load(key)).toBeUndefined();
    expect(warn).toHaveBeenCalledTimes(1);
    warn.mockRestore();
  });

  it('is a corrupt session when only its values are unreadable, and can be saved again', async () => {
    const { cache, store } = openCache();
    const key = newKey();
    const record = aRecord({ userId: '7' });
    await cache.set(`nest-session:${key}`, JSON.stringify({ ...record, values: { a: 1 } }));
    expect(await store.load(key)).toEqual({ ...record, values: {}, corrupt: true });
    await store.save(key, aChange({ set: { b: '2' } }));
    expect(await store.load(key)).toMatchObject({ userId: '7', values: { b: '2' } });
  });

  it('stays as it is when a newer release wrote it', async () => {
    const { cache, store } = openCache();
    const key = newKey();
    const text = JSON.stringify({ ...aRecord(), format: 2, values: 'packed' });
    await cache.set(`nest-session:${key}`, text);
    expect((await store.load(key))?.format).toBe(2);
    const asked = [
      () => store.save(key, aChange({ set: { a: '1' } })),
      () => store.touch(key, aChange()),
      () => store.delete(key),
      () => store.rename(key, newKey(), aChange()),
      () => store.atomic(key, 'a', () => '1'),
    ];
    for (const ask of asked) await expect(ask()).rejects.toThrow(SessionFormatException);
    expect(await store.create(key, aRecord())).toBe(false);
    expect(await cache.get(`nest-session:${key}`)).toBe(text);
  });
});

describe('A cache that fails', () => {
  const failing = () => Promise.reject(new Error('the server went away'));

  it('is no empty cache, though cache-manager and Keyv say so', async () => {
    const adapter = { get: failing, set: failing, delete: failing, clear: failing };
    const keyv = new Keyv({ store: adapter });
    const cache = createCache({ stores: [keyv] });
    expect(await cache.get('a')).toBeUndefined(); // or this test proves nothing
    const store = new CacheSessionStore(cache);
    await expect(store.load(newKey())).rejects.toThrow('went away');
    await expect(store.create(newKey(), aRecord())).rejects.toThrow('went away');
    await expect(store.delete(newKey())).rejects.toThrow('went away');
    await expect(store.deleteExpired()).rejects.toThrow('went away');
  });

  it('throws when an entry is not taken', async () => {
    const store = new Map<string, unknown>();
    const { cache } = openCache({ store: Object.assign(store, { set: () => false as never }) });
    await expect(new CacheSessionStore(cache).create(newKey(), aRecord())).rejects.toThrow('did not take');
  });
});

describe('Several stores over one cache in a process', () => {
  it('take turns with each other', async () => {
    const { cache } = openCache();
    const stores = [new CacheSessionStore(cache), new CacheSessionStore(cache)];
    const key = newKey();
    await stores[0].create(key, aRecord());
    const countUp = (text = '0') => String(Number(text) + 1);
    await Promise.all(Array.from({ length: 20 }, (_, n) => stores[n % 2].atomic(key, 'n', countUp)));
    expect((await stores[0].load(key))?.values.n).toBe('20');
  });
});

describe('CacheSessionStore in an application', () => {
  const start = async (store: SessionStore | object, imports: object[] = []) => {
    const sessions = SessionModule.forRoot({ secret: SECRET, store: store as typeof CacheSessionStore });
    const module = await Test.createTestingModule({ imports: [...(imports as []), sessions] }).compile();
    return module.init();
  };
  let warn: jest.SpiedFunction<Logger['warn']>;
  beforeEach(() => {
    warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  });
  afterEach(() => warn.mockRestore());

  it('takes the cache of @nestjs/cache-manager', async () => {
    const app = await start(CacheSessionStore, [CacheModule.register({ isGlobal: true })]);
    const key = newKey();
    await app.get(SessionStore).create(key, aRecord());
    expect(await app.get<Cache>(CACHE_MANAGER).get(`nest-session:${key}`)).toContain('"handle"');
    expect(warn).not.toHaveBeenCalled();
    await app.close();
  });

  it('takes a cache of another name, with the modules that bring it', async () => {
    const { cache, entries } = openCache();
    @Module({ providers: [{ provide: 'SESSIONS_CACHE', useValue: cache }], exports: ['SESSIONS_CACHE'] })
    class CachesModule {}
    const store = CacheSessionStore.with({ cache: 'SESSIONS_CACHE', imports: [CachesModule], prefix: 's:' });
    const app = await start(store);
    const key = newKey();
    await app.get(SessionStore).create(key, aRecord());
    expect([...entries.keys()]).toEqual([`keyv:s:${key}`]);
    await app.close();
  });

  it('refuses a cache of several tiers, and says what to write', async () => {
    const tiers = CacheModule.register({ isGlobal: true, stores: [new Keyv(), new Keyv()] });
    await expect(start(CacheSessionStore, [tiers])).rejects.toThrow(SessionOptionsError);
    await expect(start(CacheSessionStore, [tiers])).rejects.toThrow('exactly one Keyv store');
  });

  it('warns of the option for cache-manager 5, which is ignored: sessions are in memory', async () => {
    const options = { isGlobal: true, store: () => ({ get: () => undefined }) };
    await (await start(CacheSessionStore, [CacheModule.register(options)])).close();
    expect(warn.mock.calls.flat()).toEqual([expect.stringContaining('`store` of CacheModule.register()')]);
    expect(warn.mock.calls[0][0]).toContain('stores: [new Keyv({ store: new KeyvRedis(url) })]');
  });

  it.each(['sqlite', 'postgres', 'mysql'])('warns of %s, where Keyv never clears', async (dialect) => {
    const table = Object.assign(new Map<string, unknown>(), { opts: { dialect } });
    const keyv = new Keyv({ store: table });
    const app = await start(CacheSessionStore, [CacheModule.register({ isGlobal: true, stores: [keyv] })]);
    expect(warn.mock.calls.flat()).toEqual([expect.stringContaining('keeps expired rows')]);
    expect(app.get(SessionStore).expiresByItself).toBe(false);
    await expect(clearSessions(app)).rejects.toMatchObject({
      code: 'SESSION_STORE_UNSUPPORTED',
      message: expect.stringContaining('Keyv keeps expired rows in an SQL database for ever') as unknown,
    });
    await app.close();
  });

  it.each(['findByUser', 'deleteByUser'] as const)('says why there is no %s', async (method) => {
    const { store } = openCache();
    await expect((store as SessionStore)[method]('7')).rejects.toThrow('a cache has no index by user');
  });

  it('warns of a cache that several processes may share, unless there is only one', async () => {
    const shared = Object.assign(new Map<string, unknown>(), { disconnect: async () => undefined });
    const imports = [CacheModule.register({ isGlobal: true, stores: new Keyv({ store: shared }) })];
    await (await start(CacheSessionStore, imports)).close();
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toContain('laws 4, 5 and 6 within one process only');
    await (await start(CacheSessionStore.with({ singleProcess: true }), imports)).close();
    expect(warn).toHaveBeenCalledTimes(1);
  });
});
