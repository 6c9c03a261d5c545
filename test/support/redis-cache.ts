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

/**
 * @param options `namespace` of a cache that another process or connection uses too; `url` of a proxy before Redis;
 * `queues`: commands wait while Redis is away, as they do by default
 */
export async function openRedisCache(
  options: { namespace?: string; url?: string; queues?: boolean } = {},
): Promise<RedisCache> {
  const { namespace = newNamespace(), url = REDIS_URL, queues = false } = options;
  const socket = { reconnectStrategy: 20 };
  const client = createClient({ url, socket, disableOfflineQueue: !queues }) as RedisClientType;
  client.on('error', () => undefined);
  await client.connect();
  const adapter = new KeyvRedis<unknown>(client);
  const cache = createCache({ stores: [new Keyv({ store: adapter, namespace, useKeyPrefix: false })] });
  const close = async () => {
    if (client.isOpen) client.destroy();
    await deleteAll(namespace);
  };
  return { cache, adapter, client, namespace, close };
}

/** By a connection of its own: the one that was tested may be broken. */
async function deleteAll(namespace: string): Promise<void> {
  const client = await createClient({ url: REDIS_URL }).connect();
  for await (const keys of client.scanIterator({ MATCH: `${namespace}::*`, COUNT: 1_000 })) {
    if (keys.length > 0) await client.unlink(keys);
  }
  client.destroy();
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
