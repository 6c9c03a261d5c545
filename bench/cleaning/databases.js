import { createHash, randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MySqlSessionEntity, SessionEntity } from 'nest-session/typeorm';
import { DataSource } from 'typeorm';

const POSTGRES_URL = process.env.POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres';
const MARIADB_URL = process.env.MARIADB_URL ?? 'mysql://root@127.0.0.1:3306';
/** Article, quantity, price: 300 bytes. */
export const CART = Array.from({ length: 24 }, (_, n) => [1_000 + n, n, 4.5]);
const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
const SQLITE_FILES = ['', '-wal', '-shm', '-journal'];

/** What differs between the databases: where a new one is, and its SQL for numbers, digests and chance. */
const KINDS = {
  PostgreSQL: {
    server: { type: 'postgres', url: POSTGRES_URL },
    quote: '"',
    numbers: (count) => `generate_series(1, ${count}) AS numbers(n)`,
    digest: (text) => `encode(sha256((${text})::bytea), 'hex')`,
    handle: `lpad(to_hex(n), 32, '0')`,
    join: (...texts) => texts.join(' || '),
    chance: 'random()',
    integer: 'bigint',
    text: 'varchar',
    drop: (name) => `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`,
    afterwards: ['VACUUM ANALYZE session', 'CHECKPOINT'],
    cache: "SELECT setting::bigint * 8192 AS bytes FROM pg_settings WHERE name = 'shared_buffers'",
  },
  MariaDB: {
    server: { type: 'mariadb', url: MARIADB_URL },
    quote: '`',
    numbers: (count) => `(SELECT seq AS n FROM seq_1_to_${count}) AS numbers`,
    digest: (text) => `sha2(${text}, 256)`,
    handle: `lpad(lower(hex(n)), 32, '0')`,
    join: (...texts) => `concat(${texts.join(', ')})`,
    chance: 'rand()',
    integer: 'signed',
    text: 'char',
    drop: (name) => `DROP DATABASE IF EXISTS \`${name}\``,
    afterwards: ['ANALYZE TABLE session'],
    cache: 'SELECT @@innodb_buffer_pool_size AS bytes',
  },
  SQLite: {
    quote: '"',
    numbers: (count) =>
      `(WITH RECURSIVE count(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM count WHERE n < ${count}) SELECT n FROM count) AS numbers`,
    digest: (text) => `sha256(${text})`,
    handle: `printf('%032x', n)`,
    join: (...texts) => texts.join(' || '),
    chance: '(random() / 18446744073709551616.0 + 0.5)',
    integer: 'integer',
    text: 'text',
    afterwards: ['PRAGMA journal_mode = WAL'],
  },
};

export const databaseNames = Object.keys(KINDS);

export function entityFor({ type }) {
  return type === 'mariadb' ? MySqlSessionEntity : SessionEntity;
}

/** The key of a living session; `number` counts them from 0. */
export function livingKey(number) {
  return sha256(`session ${2 * number + 1}`);
}

function sha256(text) {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Creates a database with a random name, and in it the table of sessions: as many expired ones as living ones.
 *
 * @param isByAge rows that end at about the same time lie together, as they do where a write puts a row in a new place;
 * otherwise they are scattered over the whole table
 */
export async function createDatabase(kindName, rows, isByAge) {
  const kind = KINDS[kindName];
  const name = `bench_sessions_${randomBytes(6).toString('hex')}`;
  const { options, drop } = kind.server ? await onServer(kind, name) : inFile(name);
  try {
    await fill(kind, options, { rows, isByAge });
    return { options, drop, cacheBytes: await cacheOf(kind, options) };
  } catch (error) {
    await drop();
    throw error;
  }
}

/** So much of the table the server keeps in memory by itself; undefined for SQLite, which leaves that to the system. */
async function cacheOf({ cache }, options) {
  if (!cache) return undefined;
  const dataSource = await new DataSource(options).initialize();
  const [{ bytes }] = await dataSource.query(cache);
  await dataSource.destroy();
  return Number(bytes);
}

async function onServer(kind, name) {
  const { server, quote, drop } = kind;
  await run(server, `CREATE DATABASE ${quote}${name}${quote}`);
  const url = new URL(server.url);
  url.pathname = name;
  return { options: { ...server, url: url.href }, drop: () => run(server, drop(name)) };
}

function inFile(name) {
  const database = join(tmpdir(), `${name}.sqlite`);
  const drop = () => Promise.all(SQLITE_FILES.map((suffix) => rm(database + suffix, { force: true })));
  return { options: { type: 'better-sqlite3', database, enableWAL: true }, drop };
}

async function run(options, ...statements) {
  const dataSource = await new DataSource(options).initialize();
  try {
    for (const statement of statements) await dataSource.query(statement);
  } finally {
    await dataSource.destroy();
  }
}

/** Where that is possible, indexes are made after the rows: it takes a tenth of the time, and the table is the same. */
async function fill(kind, options, content) {
  const dataSource = await new DataSource({ ...options, entities: [entityFor(options)] }).initialize();
  const runner = dataSource.createQueryRunner();
  const canDrop = options.type !== 'better-sqlite3'; // there it would mean to copy the table
  try {
    await dataSource.synchronize();
    if (!canDrop) {
      const connection = dataSource.driver.databaseConnection;
      connection.function('sha256', sha256);
      // Entries come in random order: in memory (4 GB), and written once.
      for (const setting of ['cache_size = -4000000', 'journal_mode = OFF', 'synchronous = OFF'])
        connection.pragma(setting);
    }
    const table = await runner.getTable('session');
    const indices = canDrop ? [...table.indices] : [];
    const uniques = canDrop ? [...table.uniques] : [];
    if (indices.length > 0) await runner.dropIndices(table, indices);
    if (uniques.length > 0) await runner.dropUniqueConstraints(table, uniques);
    await runner.query(insertion(kind, content));
    if (uniques.length > 0) await runner.createUniqueConstraints(table, uniques);
    if (indices.length > 0) await runner.createIndices(table, indices);
    for (const statement of kind.afterwards) await runner.query(statement);
  } finally {
    await runner.release();
    await dataSource.destroy();
  }
}

/** Every second row is over, since up to a day. */
function insertion({ quote, numbers, digest, handle, join, chance, integer, text }, { rows, isByAge }) {
  const now = Date.now();
  const age = isByAge ? `n * ${DAY_MS / (2 * rows)} + ${chance} * ${HOUR_MS}` : `${chance} * ${DAY_MS}`;
  const within = `CAST(${age} AS ${integer})`;
  const key = digest(join(`'session '`, `CAST(n AS ${text})`));
  const columns = {
    handle,
    key,
    previousKey: key,
    data: `'${JSON.stringify({ cart: JSON.stringify(CART) })}'`,
    version: 1,
    format: 1,
    userId: `CASE WHEN n % 3 = 0 THEN CAST(n AS ${text}) END`,
    policy: `''`,
    createdAt: now - DAY_MS,
    lastSeenAt: now - DAY_MS,
    expiresAt: `CASE WHEN n % 2 = 0 THEN ${now} - 1 - ${within} ELSE ${now} + ${DAY_MS} + ${within} END`,
    absoluteExpiresAt: now + 30 * DAY_MS,
  };
  const names = Object.keys(columns).map((column) => quote + column + quote);
  return `INSERT INTO session (${names.join()}) SELECT ${Object.values(columns).join()} FROM ${numbers(2 * rows)}`;
}
