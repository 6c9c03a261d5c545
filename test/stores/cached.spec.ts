import { createCache } from 'cache-manager';
import { MemorySessionStore, type SessionClock } from 'nest-session';
import { CachedSessionStore } from 'nest-session/cache';
import { describeSessionStore } from 'nest-session/testing';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { databases, type TestDatabase } from '../support/databases.js';
import { isRedisThere, openRedisCache, type RedisCache } from '../support/redis-cache.js';

describeSessionStore(
  'CachedSessionStore over memory',
  async ({ clock }) => new CachedSessionStore(new MemorySessionStore(clock), createCache(), {}, clock),
);

const isRedisHere = await isRedisThere();
for (const kind of databases.filter(({ name }) => name !== 'MariaDB')) {
  const overRedis = kind.name !== 'SQLite';
  const isHere = (await kind.available()) && (isRedisHere || !overRedis);
  const where = `on ${kind.name} and ${overRedis ? 'Redis' : 'a cache in memory'}, two handles`;

  (isHere ? describe : describe.skip)('CachedSessionStore', () => {
    let database: TestDatabase;
    let pools: DataSource[];
    let redis: RedisCache[] = [];
    const inMemory = createCache();
    let isBroken = false;

    beforeAll(async () => {
      database = await kind.create();
      const options = { ...database.options, entities: [kind.entity] } as DataSourceOptions;
      pools = [new DataSource(options), new DataSource(options)];
      for (const pool of pools) await pool.initialize();
      await pools[0].synchronize();
      if (!overRedis) return;
      const first = await openRedisCache();
      redis = [first, await openRedisCache({ namespace: first.namespace })];
    });
    afterAll(async () => {
      for (const pool of pools) if (pool.isInitialized) await pool.destroy();
      for (const each of redis) await each.close();
      await database.drop();
    });

    const open = async (index: number, clock: SessionClock) => {
      if (isBroken) await pools[0].synchronize();
      isBroken = false;
      const base = new TypeOrmSessionStore(pools[index], {}, clock);
      return new CachedSessionStore(base, redis[index]?.cache ?? inMemory, { cacheTimeout: '10s' }, clock);
    };

    describeSessionStore(where, ({ clock }) => open(0, clock), {
      openAnother: ({ clock }) => open(1, clock),
      breakIt: async () => {
        isBroken = true;
        await pools[0].query(`DROP TABLE ${pools[0].driver.escape('session')}`);
      },
    });
  });
}
