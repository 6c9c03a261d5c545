import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forgetAll, newPrefix, REDIS_URL, redisIsThere } from '../../../test/support/redis-service.js';
import { ADA, GRACE, leadsTo, openShop, platforms, type Shop } from './open-shop.js';

const hasRedis = await redisIsThere();
const stores = [
  ['typeorm', true],
  ['memory', true],
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

    const itIfAvailable = isAvailable ? it : it.skip;
    const shops: Shop[] = [];
    afterEach(() => Promise.all(shops.splice(0).map((shop) => shop.close())));

    async function open(): Promise<Shop> {
      const shop = await openShop(platform, env);
      shops.push(shop);
      return shop;
    }

    // Memory forgets, which is what it is for.
    if (store !== 'memory')
      itIfAvailable('remembers everything over a restart', async () => {
        const before = await open();
        const visitor = before.visitor();
        await visitor.page('/');
        await visitor.submit('/preferences', { theme: 'dark' });
        await visitor.submit('/cart', { sku: 'sencha', qty: '3' });
        await visitor.logIn(ADA);
        const { handle } = await visitor.json('/session');
        await shops.pop()?.close();

        const returning = visitor.comesTo(await open());
        expect(await returning.json('/')).toMatchObject({ views: 2, theme: 'dark', cartCount: 3 });
        expect(await returning.name()).toBe('Ada');
        expect((await returning.json('/session')).handle).toBe(handle);
      });

    if (store === 'redis' || store === 'cache' || store === 'cached')
      itIfAvailable('keeps what it has in Redis under its prefix', async () => {
        const visitor = (await open()).visitor();
        await visitor.page('/');
        await visitor.page('/'); // as a cache holds what was loaded
        expect(await forgetAll(env.REDIS_PREFIX)).toBeGreaterThan(0);
      });

    itIfAvailable('logs in, lists devices where it can, and ends all others by a new password', async () => {
      const shop = await open();
      const [here, there] = [shop.visitor(), shop.visitor()];
      for (const visitor of [here, there]) expect(leadsTo(await visitor.logIn(GRACE))).toBe('/account');

      const { devices } = await here.json('/account/devices');
      const page = await here.page('/account/devices');
      const others = await here.call('POST', '/account/devices/revoke-others');
      if (store === 'cookie' || store === 'cache') {
        expect([devices, page.status, others.status]).toEqual([null, 200, 404]);
        expect(page.text).toContain('There is no list');
      } else {
        expect([devices.length, page.status, others.json().ended]).toEqual([2, 200, 1]);
        await there.logIn(GRACE);
      }

      expect([await here.name(), await there.name()]).toEqual(['Grace', 'Grace']);
      const password = { password: `${GRACE.password}, again` };
      await here.submit('/account/password', password, '/account/password');
      expect([await here.name(), await there.name()]).toEqual(['Grace', undefined]);
      await here.submit('/account/password', { password: GRACE.password }, '/account/password');
      await here.submit('/logout');
      expect(await here.name()).toBeUndefined();
    });
  });
});
