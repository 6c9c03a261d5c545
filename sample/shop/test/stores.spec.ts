import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { isRedisThere, REDIS_URL } from '../../../test/support/redis-server.js';
import { openShop, platforms } from './open-shop.js';

const hasRedis = await isRedisThere();
const stores = [
  ['file', true],
  ['redis', hasRedis],
  ['cache', hasRedis],
  ['cached', hasRedis],
  ['cookie', true],
] as const;

describe.each(platforms)('the shop on %s', (platform) => {
  describe.each(stores)('with STORE=%s', (store, isAvailable) => {
    let folder: string;
    let env: Record<string, string>;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'nest-session-shop-'));
      env = {
        STORE: store,
        DATABASE_URL: join(folder, 'shop.sqlite'),
        DATA_FOLDER: folder,
        REDIS_URL,
        REDIS_PREFIX: `shop-${randomBytes(6).toString('hex')}:`,
      };
    });
    afterAll(async () => {
      await rm(folder, { recursive: true, force: true });
      if (isAvailable && hasRedis) await forget(env.REDIS_PREFIX);
    });

    (isAvailable ? it : it.skip)('remembers everything over a restart', async () => {
      const before = await openShop(platform, env);
      const visitor = before.visitor();
      await visitor.page('/');
      await visitor.submit('/preferences', { theme: 'dark' });
      await visitor.submit('/cart', { sku: 'sencha', qty: '3' });
      const { handle } = await visitor.json('/session');
      await before.close();

      const after = await openShop(platform, env);
      const returning = visitor.comesTo(after);
      expect(await returning.json('/')).toMatchObject({ views: 2, theme: 'dark', cartCount: 3 });
      expect((await returning.json('/session')).handle).toBe(handle);
      await after.close();
    });
  });
});

async function forget(prefix: string): Promise<void> {
  const client = await createClient({ url: REDIS_URL }).connect();
  for await (const keys of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 1_000 }))
    if (keys.length > 0) await client.unlink(keys);
  client.destroy();
}
