import { createCache } from 'cache-manager';
import { CacheSessionStore } from 'nest-session/cache';
import { describeSessionStore } from 'nest-session/testing';
import { isRedisThere, openRedisCache, type RedisCache } from '../support/redis-cache.js';

const LACKS = ['users', 'count'] as const;

describeSessionStore(
  'CacheSessionStore in memory',
  async ({ clock }) => new CacheSessionStore(createCache(), {}, clock),
  { lacks: LACKS, expiresByItself: true },
);

const describeRedis = (await isRedisThere()) ? describe : describe.skip;

describeRedis('CacheSessionStore over Redis', () => {
  let redis: RedisCache | undefined;

  afterEach(async () => {
    await redis?.close();
    redis = undefined;
  });

  describeSessionStore(
    'in one process',
    async ({ clock }) => {
      redis = await openRedisCache();
      return new CacheSessionStore(redis.cache, {}, clock);
    },
    {
      lacks: LACKS,
      expiresByItself: true,
    },
  );
});
