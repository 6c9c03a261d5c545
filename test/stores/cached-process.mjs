/**
 * A process of its own that works on sessions behind a cache, together with others. Started by
 * cached-processes.spec.ts, which sends a plan first, and then one message for each thing to do; each is answered.
 */
import { pathToFileURL } from 'node:url';
import KeyvRedis from '@keyv/redis';
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { DataSource } from 'typeorm';

const work = { hammer, live, look, end };
let store;
let dataSource;
let adapter;
let hasEnded = false;

process.on('message', async ({ task, ...plan }) => {
  if (task === 'ended') return void (hasEnded = true);
  try {
    process.send({ answer: (await work[task]?.(plan)) ?? (await open(plan)) });
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) });
  }
});

async function open({ library, options, namespace, redisUrl }) {
  const { SessionEntity, TypeOrmSessionStore } = await import(pathToFileURL(library.typeorm).href);
  const { CachedSessionStore } = await import(pathToFileURL(library.cache).href);
  dataSource = await new DataSource({ ...options, entities: [SessionEntity] }).initialize();
  adapter = new KeyvRedis(redisUrl);
  const cache = createCache({ stores: [new Keyv({ store: adapter, namespace, useKeyPrefix: false })] });
  store = new CachedSessionStore(new TypeOrmSessionStore(dataSource), cache, { cacheTimeout: '10s' });
  return 'ready';
}

/** Saves values of its own and counts a common one up, several at a time, and reads what it has saved. */
async function hammer({ key, rounds, name }) {
  for (let round = 0; round < rounds; round++) {
    const set = { [`${name}.${round}`]: '1' };
    const work = [
      store.save(key, change(set), await store.load(key)),
      store.atomic(key, 'sum', (text) => String(Number(text ?? 0) + 1)),
      store.touch(key, change({})),
    ];
    for (const done of await Promise.all(work)) if (!done) throw new Error('The session is not there.');
    const values = (await store.load(key))?.values ?? {};
    for (let n = 0; n <= round; n++) {
      if (values[`${name}.${n}`] !== '1')
        throw new Error(`Saved ${n}, and did not read it in round ${round}.`);
    }
  }
  return 'done';
}

/** Reads and writes a session until it is told that it has ended. */
async function live({ key }) {
  hasEnded = false;
  let reads = 0;
  while (!hasEnded) {
    await Promise.all([
      store.load(key),
      store.load(key),
      reads % 3 ? undefined : store.save(key, change({ a: '1' })),
    ]);
    reads++;
  }
  return { reads };
}

/** How often a session that has ended is served. */
async function look({ key }) {
  let alive = 0;
  for (let n = 0; n < 20; n++) {
    const [record, saved] = await Promise.all([store.load(key), store.save(key, change({ late: '1' }))]);
    if (saved || (record && !record.gone)) alive++;
  }
  return { alive };
}

async function end() {
  await store.close();
  await dataSource.destroy();
  await adapter.disconnect();
  setImmediate(() => process.disconnect());
  return 'ended';
}

function change(set) {
  const now = Date.now();
  return { set, removed: [], lastSeenAt: now, expiresAt: now + 600_000, basedOn: '' };
}
