import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CachedSessionStore } from 'nest-session/cache';
import { aRecord, newKey } from 'nest-session/testing';
import { SessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource } from 'typeorm';
import { type CompiledLibrary, compileLibrary } from '../support/compiled-library.js';
import { databases, type TestDatabase } from '../support/databases.js';
import { isRedisThere, openRedisCache, REDIS_URL, type RedisCache } from '../support/redis-cache.js';

const worker = fileURLToPath(new URL('cached-process.mjs', import.meta.url));
const postgres = databases.find(({ name }) => name === 'PostgreSQL');
const areThere = [await postgres?.available(), await isRedisThere()];

(areThere.every(Boolean) ? describe : describe.skip)('Two processes behind one cache', () => {
  let compiled: CompiledLibrary;
  let database: TestDatabase;
  let pool: DataSource;
  let redis: RedisCache;
  let store: CachedSessionStore;
  let processes: ChildProcess[] = [];

  beforeAll(async () => {
    compiled = await compileLibrary();
    database = await postgres!.create();
    pool = await new DataSource({ ...database.options, entities: [SessionEntity] }).initialize();
    await pool.synchronize();
    redis = await openRedisCache();
    store = new CachedSessionStore(new TypeOrmSessionStore(pool), redis.cache, { cacheTimeout: '10s' });
    processes = [1, 2].map(() => fork(worker, { env: { ...process.env, NODE_OPTIONS: '' }, execArgv: [] }));
    const library = {
      typeorm: join(compiled.path, 'stores/typeorm/index.js'),
      cache: join(compiled.path, 'stores/cache/index.js'),
    };
    const plan = { library, options: database.options, namespace: redis.namespace, redisUrl: REDIS_URL };
    await Promise.all(processes.map((child) => ask(child, { task: 'open', ...plan })));
  });
  afterAll(async () => {
    for (const child of processes) child.kill();
    await pool?.destroy();
    await redis?.close();
    await database?.drop();
    await compiled?.remove();
  });

  it('lose nothing of what they write to one session at once, and read what they have written', async () => {
    const key = newKey();
    const rounds = 25;
    await store.create(key, aRecord());
    await Promise.all(
      processes.map((child, n) => ask(child, { task: 'hammer', key, rounds, name: `p${n}` })),
    );
    const values = (await store.load(key))?.values ?? {};
    expect(values.sum).toBe(String(processes.length * rounds));
    expect(Object.keys(values)).toHaveLength(processes.length * rounds + 1);
  });

  it('serve no session after its end was acknowledged to a third, however busy they are with it', async () => {
    for (let round = 0; round < 15; round++) {
      const key = newKey();
      await store.create(key, aRecord({ userId: key }));
      const living = Promise.all(processes.map((child) => ask(child, { task: 'live', key })));
      await new Promise((resolve) => setTimeout(resolve, 10 + 3 * round)); // another moment in each round
      if (round % 3 === 0) expect(await store.deleteByUser(key)).toBe(1);
      else expect(await store.delete(key, round % 3 === 1 ? Date.now() + 30_000 : undefined)).toBe(true);
      for (const child of processes) child.send({ task: 'ended' });
      await living;
      const seen = await Promise.all(processes.map((child) => ask(child, { task: 'look', key })));
      expect(seen).toEqual([{ alive: 0 }, { alive: 0 }]);
    }
  });

  it('end by themselves when they have closed everything', async () => {
    const exits = processes.map((child) => once(child, 'exit'));
    await Promise.all(processes.map((child) => ask(child, { task: 'end' })));
    expect((await Promise.all(exits)).map(([code]) => code as unknown)).toEqual([0, 0]);
  });
});

/** Lets a process do something, and gives its answer. */
async function ask(child: ChildProcess, plan: object): Promise<unknown> {
  const stop = new AbortController();
  const exited = once(child, 'exit', { signal: stop.signal }).then(([code]) => {
    throw new Error(`The process ended with ${String(code)}.`);
  });
  exited.catch(() => undefined);
  try {
    const answered = once(child, 'message', { signal: stop.signal });
    child.send(plan);
    const [{ answer, error }] = (await Promise.race([answered, exited])) as [
      { answer?: unknown; error?: string },
    ];
    if (error) throw new Error(error);
    return answer;
  } finally {
    stop.abort();
  }
}
