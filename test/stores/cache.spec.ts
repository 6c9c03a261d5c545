import KeyvRedis from '@keyv/redis';
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { CacheSessionStore } from 'nest-session/cache';
import { aRecord, describeSessionStore, newKey } from 'nest-session/testing';
import { CuttableProxy } from '../support/cuttable-proxy.js';
import { isRedisThere, openRedisCache, REDIS_URL, type RedisCache } from '../support/redis-cache.js';

const LACKS = ['users', 'count'] as const;

describeSessionStore(
  'CacheSessionStore in memory',
  async ({ clock }) => new CacheSessionStore(createCache(), {}, clock),
  { lacks: LACKS, expiresByItself: true },
);

const describeRedis = (await isRedisThere()) ? describe : describe.skip;

describeRedis('CacheSessionStore over Redis', () => {
  const proxy = new CuttableProxy(new URL(REDIS_URL));
  let redis: RedisCache;

  beforeEach(async () => {
    await proxy.mend();
    redis = await openRedisCache({ url: proxy.url });
  });
  afterEach(async () => {
    await proxy.cut();
    await redis.close();
  });

  describeSessionStore('in one process', async ({ clock }) => new CacheSessionStore(redis.cache, {}, clock), {
    lacks: LACKS,
    expiresByItself: true,
    breakIt: () => proxy.cut(), // @keyv/redis answers «not there» then, and the cache too
  });

  it('works again as soon as Redis is back', async () => {
    const store = new CacheSessionStore(redis.cache);
    const key = newKey();
    await store.create(key, aRecord({ values: { a: '1' } }));
    await proxy.cut();
    await expect(store.load(key)).rejects.toBeDefined();
    await proxy.mend();
    await until(async () => (await store.load(key))?.values.a === '1');
  });

  it('throws when the connection is lost while Redis is being asked', async () => {
    const store = new CacheSessionStore(redis.cache);
    const key = newKey();
    await store.create(key, aRecord());
    proxy.hang();
    const asked = [store.load(key), store.delete(key), store.create(newKey(), aRecord())];
    const outcomes = Promise.allSettled(asked);
    await proxy.cut();
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  });

  it('throws when nobody listens where Redis should be', async () => {
    await proxy.cut();
    const adapter = new KeyvRedis({ url: proxy.url, socket: { reconnectStrategy: false } });
    const store = new CacheSessionStore(createCache({ stores: [new Keyv({ store: adapter })] }));
    await expect(store.load(newKey())).rejects.toBeDefined();
    await expect(store.create(newKey(), aRecord())).rejects.toBeDefined();
    await expect(store.delete(newKey())).rejects.toBeDefined();
  });

  it('keeps a session as long as its deadline says, whatever the cache does with others', async () => {
    for (const keyv of redis.cache.stores) keyv.ttl = 1_000;
    const store = new CacheSessionStore(redis.cache);
    const key = newKey();
    await store.create(key, aRecord({ expiresAt: Date.now() + 600_000 }));
    const leftMs = await redis.client.pTTL(`${redis.namespace}::nest-session:${key}`);
    expect(leftMs).toBeGreaterThan(595_000);
    expect(leftMs).toBeLessThan(700_000);
  });
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 5));
}
