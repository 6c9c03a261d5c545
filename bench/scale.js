/**
 * What loads and saves take among a million living sessions, next to a thousand, in Redis and in PostgreSQL:
 * `node bench/scale.js`, or with `--sessions 100000 --stores redis`. Two databases of the same server take turns, so that
 * whatever else the machine does meets both. Files have a measurement of their own (files.js).
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './statistics.js';

const FEW = 1_000;
const GOAL = 1.3;
const ROUNDS = 40;
const COMMANDS_A_ROUND = 100;
const AT_ONCE = 500;

const { values: options } = parseArgs({
  options: {
    sessions: { type: 'string', default: '1000000' },
    stores: { type: 'string', default: 'redis,postgres' },
  },
});
const many = Number(options.sessions);

const build = fileURLToPath(new URL('../scripts/build.mjs', import.meta.url));
if (spawnSync(process.execPath, [build, '--if-stale'], { stdio: 'inherit' }).status !== 0) process.exit(1);

const OPENERS = { redis: openRedis, postgres: openPostgres };
const CART = JSON.stringify(Array.from({ length: 8 }, (_, n) => ({ sku: `tea-${n}`, qty: n, price: 4.5 })));

const keyOf = (n) => createHash('sha256').update(`session ${n}`).digest('hex');
const COMMANDS = {
  load: async (store, key) => {
    if (!(await store.load(key))) throw new Error('A session is missing.');
  },
  save: async (store, key) => {
    if (!(await store.save(key, change(), await store.load(key)))) throw new Error('A session is missing.');
  },
};

for (const name of options.stores.split(',')) {
  const { few, all, close } = await OPENERS[name]();
  try {
    for (const [command, run] of Object.entries(COMMANDS)) await compare(name, command, run, few, all);
  } finally {
    await close();
  }
}

async function compare(name, command, run, few, all) {
  const rounds = { few: [], all: [] };
  for (let round = 0; round < ROUNDS; round++) {
    rounds.few.push(await timeOf(few, FEW, run));
    rounds.all.push(await timeOf(all, many, run));
  }
  const [one, other] = [median(rounds.few), median(rounds.all)];
  const ratio = other / one;
  console.log(
    `${name} ${command}: ${one.toFixed(0)} µs among ${FEW}, ${other.toFixed(0)} µs among ${many}, ` +
      `ratio ${ratio.toFixed(2)} ≤ ${GOAL} ${ratio <= GOAL ? 'met' : 'NOT MET'}`,
  );
}

/** µs for one command, one after the other, on sessions anywhere among `count`. */
async function timeOf(store, count, run) {
  const keys = Array.from({ length: COMMANDS_A_ROUND }, () => keyOf(1 + Math.floor(Math.random() * count)));
  const start = performance.now();
  for (const key of keys) await run(store, key);
  return ((performance.now() - start) * 1_000) / COMMANDS_A_ROUND;
}

/** A server of its own, for a million sessions are no guests for another one. */
async function openRedis() {
  const { createClient } = await import('redis');
  const { RedisSessionStore } = await import('nest-session/redis');
  const port = await freePort();
  const server = spawn(
    process.env.REDIS_SERVER ?? 'redis-server',
    ['--port', port, '--save', '', '--databases', '2'].map(String),
    {
      stdio: 'ignore',
    },
  );
  const clients = [0, 1].map((database) => createClient({ url: `redis://127.0.0.1:${port}/${database}` }));
  for (const client of clients) client.on('error', () => undefined); // until the server listens
  await Promise.all(clients.map((client) => client.connect()));
  const [few, all] = clients.map((client) => new RedisSessionStore(client));
  await fill(few, FEW);
  await fill(all, many);
  const close = async () => {
    for (const client of clients) client.destroy();
    server.kill();
  };
  return { few, all, close };
}

async function fill(store, count) {
  for (let n = 1; n <= count; n += AT_ONCE)
    await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, count - n + 1) }, (_, i) =>
        store.create(keyOf(n + i), record()),
      ),
    );
}

async function openPostgres() {
  const { DataSource } = await import('typeorm');
  const { SessionEntity, TypeOrmSessionStore } = await import('nest-session/typeorm');
  const url = process.env.POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres';
  const admin = await new DataSource({ type: 'postgres', url }).initialize();
  const opened = [];
  for (const count of [FEW, many]) {
    const name = `bench_sessions_${randomBytes(6).toString('hex')}`;
    await admin.query(`CREATE DATABASE ${name}`);
    const target = new URL(url);
    target.pathname = name;
    const pool = await new DataSource({
      type: 'postgres',
      url: target.href,
      entities: [SessionEntity],
    }).initialize();
    opened.push({ name, pool, store: new TypeOrmSessionStore(pool) });
    await pool.synchronize();
    const { values, ...columns } = record();
    const data = JSON.stringify(values).replaceAll("'", "''");
    const key = `encode(sha256(('session ' || n)::bytea), 'hex')`;
    await pool.query(
      `INSERT INTO session (handle, key, "previousKey", version, format, policy, "createdAt", "lastSeenAt", "expiresAt", "absoluteExpiresAt", data)
       SELECT lpad(to_hex(n), 32, '0'), ${key}, ${key}, 1, ${columns.format}, '', ${columns.createdAt}, ${columns.lastSeenAt},
         ${columns.expiresAt}, ${columns.absoluteExpiresAt}, '${data}' FROM generate_series(1, ${count}) AS numbers(n)`,
    );
    await pool.query('VACUUM ANALYZE session');
  }
  const close = async () => {
    for (const { name, pool } of opened) {
      await pool.destroy();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }
    await admin.destroy();
  };
  return { few: opened[0].store, all: opened[1].store, close };
}

function record() {
  const now = Date.now();
  return {
    format: 1,
    handle: randomBytes(16).toString('hex'),
    values: { cart: CART, views: '1' },
    createdAt: now,
    lastSeenAt: now,
    expiresAt: now + 86_400_000,
    absoluteExpiresAt: now + 30 * 86_400_000,
    policy: '',
  };
}

function change() {
  const now = Date.now();
  return {
    set: { views: String(now) },
    removed: [],
    lastSeenAt: now,
    expiresAt: now + 86_400_000,
    basedOn: '',
  };
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
