import { randomBytes } from 'node:crypto';
import KeyvRedis, { createClient, type RedisClientType } from '@keyv/redis';
import { type Cache, createCache } from 'cache-manager';
import { Keyv } from 'keyv';

export const REDIS_URL = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';

/** A cache in Redis that only one test file uses. */
export interface RedisCache {
  readonly cache: Cache;
  readonly adapter: KeyvRedis<unknown>;
  readonly client: RedisClientType;
  /** What all keys in Redis begin with. */
  readonly namespace: string;
  /** Deletes what was kept, and disconnects. */
  close(): Promise<void>;
}

/** @param namespace of a cache that another process or connection uses too */
export async function openRedisCache(namespace = newNamespace()): Promise<RedisCache> {
  const client = createClient({ url: REDIS_URL, disableOfflineQueue: true }) as RedisClientType;
  client.on('error', () => undefined);
  await client.connect();
  const adapter = new KeyvRedis<unknown>(client);
  const cache = createCache({ stores: [new Keyv({ store: adapter, namespace, useKeyPrefix: false })] });
  const close = async () => {
    await adapter.clear();
    client.destroy();
  };
  return { cache, adapter, client, namespace, close };
}

export function newNamespace(): string {
  return `nest-session-${randomBytes(6).toString('hex')}`;
}

/** False when Redis is not there; with REQUIRE_SERVICES=1 that throws instead. */
export async function isRedisThere(): Promise<boolean> {
  const client = createClient({
    url: REDIS_URL,
    socket: { reconnectStrategy: false, connectTimeout: 3_000 },
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.ping();
    client.destroy();
    return true;
  } catch (error) {
    const { host } = new URL(REDIS_URL); // no user, no password
    const help =
      `No Redis at ${host}: start one (docker run --rm -p 6379:6379 redis), ` +
      'or say where it is in REDIS_URL.';
    if (process.env.REQUIRE_SERVICES === '1') throw new Error(help, { cause: error });
    process.stderr.write(`${help} Its tests are skipped.\n`);
    return false;
  }
}
