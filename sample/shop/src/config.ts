import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TypeOrmModuleOptions } from '@nestjs/typeorm';
import { developmentSecret } from './development-secret.js';

export type PlatformName = 'express' | 'fastify';
export type StoreName = 'typeorm' | 'memory' | 'file' | 'redis' | 'cache' | 'cached' | 'cookie';

/** What a store keeps its sessions in, for the log. */
const STORES: Readonly<Record<StoreName, string>> = {
  typeorm: 'a database',
  memory: 'memory',
  file: 'files',
  redis: 'Redis',
  cache: 'a cache in Redis',
  cached: 'a database, with a cache in front of it',
  cookie: 'encrypted cookies',
};

type Environment = Readonly<Record<string, string | undefined>>;

const DAY = 24 * 60 * 60;

/** sample/shop/data, wherever the process was started; git ignores it. */
const DATA_FOLDER = fileURLToPath(new URL('../data', import.meta.url));

/** A variable is wrong or missing: the message is all that anybody needs to know. */
export class ConfigError extends Error {}

/** Everything that can be set from outside, read once at the start. */
export class ShopConfig {
  /** Seconds: a session ends when nobody used it for so long, and so long after its beginning in any case. */
  readonly idleTimeout = 14 * DAY;
  readonly absoluteTimeout = 30 * DAY;
  /** For those who asked to be remembered. */
  readonly rememberFor = 90 * DAY;

  constructor(
    readonly port: number,
    readonly host: string,
    readonly platform: PlatformName,
    readonly store: StoreName,
    readonly secret: string,
    readonly database: TypeOrmModuleOptions,
    readonly redisUrl: string,
    /** What all keys in Redis begin with. */
    readonly redisPrefix: string,
    /** Where the file store keeps its sessions. */
    readonly sessionFolder: string,
    /** Two users whose passwords stand on the login page. */
    readonly isDevelopment: boolean,
  ) {}

  /** Whether the store finds the sessions of a user: an encrypted cookie and a cache have no index. */
  get findsSessionsByUser(): boolean {
    return this.store !== 'cookie' && this.store !== 'cache';
  }

  /** For the log: names the kind of database, never its address, which may hold a password. */
  describeStore(): string {
    return `users in ${this.database.type}, sessions in ${this.store === 'typeorm' ? 'the same' : STORES[this.store]}`;
  }
}

/**
 * @param dataFolder where the SQLite file and a development secret are kept; created when something needs it
 * @throws ConfigError which says which variable is wrong, and what to write instead
 */
export function readConfig(env: Environment, dataFolder = env.DATA_FOLDER || DATA_FOLDER): ShopConfig {
  const store = oneOf(env, 'STORE', ['typeorm', 'memory', 'file', 'redis', 'cache', 'cached', 'cookie']);
  return new ShopConfig(
    readPort(env.PORT),
    env.HOST || '127.0.0.1', // this computer only; HOST=0.0.0.0 opens the shop to the network
    oneOf(env, 'PLATFORM', ['express', 'fastify']),
    store,
    readSecret(env, dataFolder),
    readDatabase(env.DATABASE_URL, dataFolder),
    env.REDIS_URL || 'redis://127.0.0.1:6379',
    env.REDIS_PREFIX || 'shop:',
    join(dataFolder, 'sessions'),
    env.NODE_ENV !== 'production',
  );
}

function readPort(value = '3000'): number {
  const port = Number(value);
  if (/^\d+$/.test(value) && port <= 65_535) return port;
  throw new ConfigError(`PORT is ${value}: write a number from 0 to 65535.`);
}

/** The first of `values` is the default. */
function oneOf<T extends string>(env: Environment, name: string, values: readonly [T, ...T[]]): T {
  const value = env[name] || values[0];
  const found = values.find((each) => each === value);
  if (found) return found;
  throw new ConfigError(`${name} is ${value}: write ${values.join(' or ')}.`);
}

function readSecret(env: Environment, dataFolder: string): string {
  if (env.SESSION_SECRET) return env.SESSION_SECRET;
  if (env.NODE_ENV !== 'production') return developmentSecret(dataFolder);
  throw new ConfigError(
    'SESSION_SECRET is missing: in production it is required. `openssl rand -base64 32` prints one.',
  );
}

function readDatabase(url: string | undefined, dataFolder: string): TypeOrmModuleOptions {
  const scheme = url && /^([a-z]\w+):/i.exec(url)?.[1]?.toLowerCase(); // of two letters at least: C:\ is a drive
  if (!url || !scheme || scheme === 'sqlite') return sqlite(url?.replace(/^sqlite:(\/\/)?/i, ''), dataFolder);
  if (scheme === 'postgres' || scheme === 'postgresql') return { type: 'postgres', url };
  if (scheme === 'mysql' || scheme === 'mariadb') return { type: scheme, url };
  throw new ConfigError(
    `DATABASE_URL begins with ${scheme}: — write postgres://…, mysql://…, mariadb://… or the path of an SQLite file.`,
  );
}

/** A path that somebody wrote is relative to the folder that they are in, as everywhere. */
function sqlite(path: string | undefined, dataFolder: string): TypeOrmModuleOptions {
  if (path === ':memory:') return { type: 'better-sqlite3', database: path };
  if (!path) mkdirSync(dataFolder, { recursive: true });
  const database = path ? resolve(path) : join(dataFolder, 'shop.sqlite');
  return { type: 'better-sqlite3', database, enableWAL: true };
}
