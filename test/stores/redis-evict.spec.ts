import { jest } from '@jest/globals';
import { createHash } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { SessionStore } from 'nest-session';
import { RedisSessionStore } from 'nest-session/redis';
import { aChange, aRecord, newKey } from 'nest-session/testing';
import { Browser } from '../support/browser.js';
import { platforms, startApp } from '../support/http-app.js';
import { AppUsers, newPerson, People } from '../support/people.js';
import { clientKinds, ioRedis6, nodeRedis6, type TestClient } from '../support/redis-clients.js';
import { describeWithServers, Monitor, TestCluster, TestServer } from '../support/redis-servers.js';

const indexOf = (user: string) => `session:user:${createHash('sha1').update(user).digest('hex')}`;

describeWithServers('RedisSessionStore on a server that evicts', () => {
  let server: TestServer;
  const cleanUp: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    server = await TestServer.start('--maxmemory-policy', 'allkeys-lru');
  });
  afterAll(() => server?.remove());
  beforeEach(() => {
    for (const level of ['warn', 'log', 'error'] as const)
      jest.spyOn(Logger.prototype, level).mockImplementation(() => undefined);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const each of cleanUp.splice(0).reverse()) await each();
    await server.send('FLUSHALL');
  });

  const open = async (client: Promise<TestClient>) => {
    const connected = await client;
    cleanUp.push(() => connected.close());
    return new RedisSessionStore(connected.client);
  };

  describe.each(clientKinds)('by $name', (kind) => {
    it('lets no session live whose index was dropped, whatever is done with it', async () => {
      const store = await open(kind.connect(server.url));
      const keys = Array.from({ length: 6 }, () => newKey());
      for (const key of keys) await store.create(key, aRecord({ userId: 'u' }));
      await server.send('DEL', indexOf('u')); // as an eviction does
      expect(await store.deleteByUser('u')).toBe(0);
      const [loaded, saved, touched, renamed, ended, counted] = keys;
      expect(await store.load(loaded)).toBeUndefined();
      expect(await store.save(saved, aChange({ set: { a: '1' } }))).toBe(false);
      expect(await store.touch(touched, aChange())).toBe(false);
      expect(await store.rename(renamed, newKey(), aChange())).toBe('gone');
      expect(await store.delete(ended)).toBe(false);
      expect(await store.atomic(counted, 'n', () => '1')).toBeUndefined();

      const next = newKey();
      await store.create(next, aRecord({ userId: 'u' }));
      for (const key of keys) expect(await store.load(key)).toBeUndefined();
      expect((await store.findByUser('u')).map((session) => session.key)).toEqual([next]);
      expect(await store.deleteByUser('u')).toBe(1);
    });

    it('reads a session by one command, which keeps its index as warm', async () => {
      const store = await open(kind.connect(server.url));
      const monitor = await Monitor.start(server);
      cleanUp.push(() => monitor.stop());
      const [key, anonymous] = [newKey(), newKey()];
      await store.create(key, aRecord({ userId: 'u' }));
      await store.create(anonymous, aRecord({ values: { u: '"no user"' } }));
      await store.load(key);
      await monitor.take();
      expect((await store.load(anonymous))?.values.u).toBe('"no user"');
      expect(await monitor.take()).toHaveLength(1);
      const reads = async () => Number((await server.info('stats')).keyspace_hits);
      const before = await reads();
      expect((await store.load(key))?.userId).toBe('u');
      expect(await monitor.take()).toHaveLength(1);
      expect((await reads()) - before).toBe(2); // the session and the index
    });

    it('leaves a session of a newer format to the release that wrote it', async () => {
      const store = await open(kind.connect(server.url));
      const record = aRecord({ userId: 'u', format: aRecord().format + 1 });
      const key = newKey();
      await store.create(key, record);
      await server.send('DEL', indexOf('u'));
      expect(await store.load(key)).toMatchObject({ format: record.format, userId: 'u' });
      await expect(store.save(key, aChange())).rejects.toMatchObject({ code: 'SESSION_FORMAT_NEWER' });
      expect(await server.send('EXISTS', `session:${key}`)).toBe(1);
    });
  });

  it('still asks after a change of the policy, for what was dropped before', async () => {
    const other = await TestServer.start('--maxmemory', '2mb', '--maxmemory-policy', 'allkeys-lru');
    cleanUp.push(() => other.remove());
    for (let n = 0; (await other.info('stats')).evicted_keys === '0'; n++)
      await other.send('SET', `page${n}`, 'x'.repeat(100_000));
    await other.send('CONFIG', 'SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction');
    const store = await open(nodeRedis6.connect(other.url));
    const key = newKey();
    await store.create(key, aRecord({ userId: 'u' }));
    await other.send('DEL', indexOf('u'));
    expect(await store.load(key)).toBeUndefined();
  });

  it.each([nodeRedis6, ioRedis6])(
    'does the same in a cluster, by $name',
    async (kind) => {
      const cluster = await TestCluster.start();
      cleanUp.push(() => cluster.remove());
      for (const node of cluster.nodes) await node.send('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru');
      const store = await open(kind.connectCluster(cluster.ports));
      const [key, newer, anonymous] = [newKey(), newKey(), newKey()];
      await store.create(key, aRecord({ userId: 'u' }));
      await store.create(anonymous, aRecord());
      expect((await store.load(key))?.userId).toBe('u');
      expect(await store.rename(key, newer, aChange(), Date.now() + 30_000)).toBe('renamed');
      expect((await store.load(key))?.gone).toBe('renamed');
      expect((await store.load(newer))?.userId).toBe('u');
      const owner = await cluster.ownerOf(await cluster.slotOf(indexOf('u')));
      expect(await owner.send('DEL', indexOf('u'))).toBe(1);
      expect(await store.deleteByUser('u')).toBe(0);
      expect(await store.load(newer)).toBeUndefined();
      expect(await store.load(anonymous)).toBeDefined();
    },
    30_000,
  );

  describe.each(platforms)('on %s', (platform) => {
    it('ends all sessions of each user, while a cache of pages beside drops keys', async () => {
      const full = await TestServer.start('--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-lru');
      cleanUp.push(() => full.remove());
      const app = await startApp({
        platform,
        controllers: [People],
        session: { auth: { users: AppUsers } },
        store: RedisSessionStore.with({ url: full.url }),
      });
      cleanUp.push(() => app.close());
      const store = app.get<SessionStore>(SessionStore);
      const users = Array.from({ length: 40 }, (_, n) => ({
        id: newPerson(`user ${n}`).id,
        browser: new Browser(app.url),
      }));
      for (const { id, browser } of users) await browser.post(`/login?user=${id}`);
      const isIn = async ({ id, browser }: (typeof users)[0]) =>
        (await browser.get('/model')).json<{ user: string | null }>().user === id;
      expect((await Promise.all(users.map(isIn))).filter(Boolean)).toHaveLength(users.length);
      const evicted = async () => Number((await full.info('stats')).evicted_keys);
      for (let page = 0; (await evicted()) < 200; page++) {
        await Promise.all(users.map(isIn));
        for (let n = 0; n < 20; n++) await full.send('SET', `page ${page} ${n}`, 'x'.repeat(10_000));
      }
      let silent = 0;
      for (const user of users)
        if ((await isIn(user)) && (await store.deleteByUser(user.id)) === 0 && (await isIn(user))) silent++;
      expect(silent).toBe(0);
      expect((await Promise.all(users.map(isIn))).filter(Boolean)).toEqual([]);
    }, 60_000);
  });
});
