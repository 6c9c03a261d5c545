import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forgetAll, newPrefix, REDIS_URL, redisIsThere } from '../../../test/support/redis-service.js';
import { openShop, platforms } from './open-shop.js';

const hasRedis = await redisIsThere();
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
        REDIS_PREFIX: newPrefix(),
      };
    });
    afterAll(async () => {
      await rm(folder, { recursive: true, force: true });
      if (isAvailable && hasRedis) await forgetAll(env.REDIS_PREFIX);
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
