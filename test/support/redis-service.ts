import { randomBytes } from 'node:crypto';
import { createClient } from 'redis';

/** The server that is there for all tests, beside those that tests start for themselves (redis-servers.ts). */
export const REDIS_URL = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';

/** A prefix of its own for some tests. */
export const newPrefix = () => `nest-session:${randomBytes(6).toString('hex')}:`;

/** False when the server is not there; with REQUIRE_SERVICES=1 that throws instead. */
export async function redisIsThere(): Promise<boolean> {
  const client = createClient({
    url: REDIS_URL,
    socket: { reconnectStrategy: false, connectTimeout: 3_000 },
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.close();
    return true;
  } catch (error) {
    const { host } = new URL(REDIS_URL); // no user, no password
    const help = `No Redis at ${host}: start one (docker run --rm -p 6379:6379 redis:7), or say where it is in REDIS_URL.`;
    if (process.env.REQUIRE_SERVICES === '1') throw new Error(help, { cause: error });
    process.stderr.write(`${help} Its tests are skipped.\n`);
    return false;
  }
}

/** Describes what needs the server, skipped where it is not there. Await it at the top of a spec file. */
export async function describeRedis(title: string, body: () => void): Promise<void> {
  ((await redisIsThere()) ? describe : describe.skip)(title, body);
}

/** Deletes all that begins with a prefix, and says how many keys that were. */
export async function forgetAll(prefix: string): Promise<number> {
  const client = createClient({ url: REDIS_URL });
  await client.connect();
  let forgotten = 0;
  for await (const keys of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 1_000 }))
    if (keys.length > 0) forgotten += await client.unlink(keys);
  await client.close();
  return forgotten;
}
