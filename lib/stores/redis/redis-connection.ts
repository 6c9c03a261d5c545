import { Logger } from '@nestjs/common';
import { SessionOptionsError } from '../../errors.js';
import { withoutSecrets } from '../../redacted-error.js';
import type { RedisClient } from './redis-client.js';
import { refusalOf } from './refusals.js';

/** A connection that the store opened itself, because it was given a URL. */
export interface OpenConnection {
  readonly client: RedisClient;
  /** What went wrong last, fit for a log; undefined when it is connected. */
  lastError(): string | undefined;
  close(): Promise<void>;
}

/** Loads one of the packages, which are optional, and makes a client with it. */
export type ClientMaker = (url: string) => Promise<OpenConnection>;

const CONNECT_TIMEOUT_MS = 5_000;

/** Soon at first, then every other second, and not all processes at once. */
function reconnectDelayMs(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 10), 2_000) + Math.random() * 100;
}

/** With node-redis: what it cannot send at once is refused, and what was under way when the connection broke fails. */
export const withNodeRedis: ClientMaker = async (url) => {
  const { createClient } = await import('redis');
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: reconnectDelayMs, connectTimeout: CONNECT_TIMEOUT_MS },
  });
  const lastError = watch(client, url);
  client.connect().catch(() => undefined); // it goes on trying; what is wrong is an `error` event as well
  const close = async () => (client.isReady ? client.close() : client.destroy());
  return { client: client as unknown as RedisClient, lastError, close };
};

/** With ioredis: the same. It must not send again what was under way: nobody knows whether it was done. */
export const withIoRedis: ClientMaker = async (url) => {
  const { Redis } = await import('ioredis');
  const client = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: reconnectDelayMs,
    connectTimeout: CONNECT_TIMEOUT_MS,
  });
  const lastError = watch(client, url);
  client.connect().catch(() => undefined);
  const close = async () => {
    await client.quit().catch(() => undefined); // refused where there is nobody to say goodbye to
    client.disconnect();
  };
  return { client, lastError, close };
};

/**
 * Makes a client with the first package that is installed. It is connecting then.
 *
 * @throws SessionOptionsError when neither is
 */
export async function openConnection(
  url: string,
  makers: readonly ClientMaker[] = [withNodeRedis, withIoRedis],
): Promise<OpenConnection> {
  for (const make of makers) {
    try {
      return await make(url);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  throw new SessionOptionsError([
    'RedisSessionStore got a URL, but neither client is installed: `npm install redis`, or `npm install ioredis`.',
  ]);
}

function isMissing(error: unknown): boolean {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown };
  const isNotFound = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  return isNotFound && /'(redis|ioredis)'/.test(String(message));
}

interface Watched {
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'ready', listener: () => void): unknown;
}

/** Listens for errors, else each would end the process, and warns once for each time that Redis is away. */
function watch(client: Watched, url: string): () => string | undefined {
  const logger = new Logger('Session');
  const { host } = new URL(url); // no user, no password
  let last: string | undefined;
  client.on('error', (error) => {
    const isFirst = last === undefined;
    last = reasonOf(error);
    if (isFirst)
      logger.warn(
        `Redis at ${host} is away: ${last}. Requests that need their session get a 503 until it is back.`,
      );
  });
  client.on('ready', () => {
    if (last !== undefined) logger.log(`Redis at ${host} is there.`);
    last = undefined;
  });
  return () => last;
}

function reasonOf(error: unknown): string {
  const refusal = refusalOf(error);
  if (refusal) return refusal.message.replace(/\.$/, ''); // it stands within a sentence
  const { message, code } = (withoutSecrets(error) ?? {}) as { message?: string; code?: string };
  return message || String(code ?? 'no reason given');
}
