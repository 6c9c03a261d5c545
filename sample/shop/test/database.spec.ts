import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemorySessionStore, SessionStore } from 'nest-session';
import { openShop, platforms } from './open-shop.js';

describe.each(platforms)('the shop on %s with a database', (platform) => {
  let folder: string;
  let env: Record<string, string>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-session-shop-'));
    env = { STORE: 'typeorm', DATABASE_URL: join(folder, 'shop.sqlite') };
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('remembers everything over a restart', async () => {
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

  it('takes another store in tests, as any provider of Nest', async () => {
    const shop = await openShop(platform, env, (builder) =>
      builder.overrideProvider(SessionStore).useClass(MemorySessionStore),
    );
    const visitor = shop.visitor();
    await visitor.page('/');
    expect((await visitor.json('/')).views).toBe(2);
    await shop.close();

    const reopened = await openShop(platform, env); // nothing of it has reached the database
    expect((await visitor.comesTo(reopened).json('/')).views).toBe(1);
    await reopened.close();
  });

  it('says by a page, by JSON and to the load balancer that its database is away', async () => {
    class BrokenStore extends MemorySessionStore {
      override async load(): Promise<never> {
        throw new Error('the disk of tests is full');
      }
      override async ping(): Promise<void> {
        return this.load();
      }
    }
    const shop = await openShop(platform, env);
    const visitor = shop.visitor();
    await visitor.page('/');
    await shop.close();

    const broken = await openShop(platform, env, (builder) =>
      builder.overrideProvider(SessionStore).useClass(BrokenStore),
    );
    const unlucky = visitor.comesTo(broken);
    const page = await unlucky.page('/');
    expect([page.status, page.setCookies]).toEqual([503, []]);
    expect(page.text).toContain('The kettle is empty');
    expect(page.text).not.toContain('disk');
    expect((await unlucky.call('GET', '/cart')).status).toBe(503);
    const health = await unlucky.call('GET', '/health');
    expect([health.status, health.json()]).toEqual([503, { status: 'unavailable', store: 'typeorm' }]);
    await broken.close();
  });
});
