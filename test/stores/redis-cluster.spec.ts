import { RedisSessionStore } from 'nest-session/redis';
import { aChange, aRecord, describeSessionStore, newKey } from 'nest-session/testing';
import { Connections, ioRedis5, ioRedis6, nodeRedis6, type TestClient } from '../support/redis-clients.js';
import { describeWithServers, TestCluster } from '../support/redis-servers.js';

describeWithServers('RedisSessionStore in a cluster', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await TestCluster.start();
  }, 30_000);
  afterAll(() => cluster?.remove());

  describe.each([nodeRedis6, ioRedis6, ioRedis5])('with $name', (kind) => {
    const connections = new Connections(() => kind.connectCluster(cluster.ports));
    afterAll(() => connections.close());

    describeSessionStore(
      'on two connections',
      async ({ clock }) => new RedisSessionStore(await connections.get(0), { clock }),
      {
        openAnother: async ({ clock }) => new RedisSessionStore(await connections.get(1), { clock }),
        breakIt: () => connections.close(),
        expiresByItself: true,
      },
    );
  });

  describe.each([nodeRedis6, ioRedis6])('with $name', (kind) => {
    let client: TestClient;
    let store: RedisSessionStore;

    beforeEach(async () => {
      client = await kind.connectCluster(cluster.ports);
      store = new RedisSessionStore(client.client);
    });
    afterEach(() => client.close());

    it('loses nothing while the slot of a session moves from node to node and back', async () => {
      const key = newKey();
      await store.create(key, aRecord({ userId: 'u' }));
      const slot = await cluster.slotOf(`session:${key}`);
      let isMoving = true;
      const written = { saves: 0, sum: 0 };
      const save = async () => {
        while (isMoving) {
          expect(await store.save(key, aChange({ set: { [`v${written.saves}`]: '1' } }))).toBe(true);
          written.saves++;
        }
      };
      const countUp = async () => {
        while (isMoving) {
          await store.atomic(key, 'sum', (text) => String(Number(text ?? 0) + 1));
          written.sum++;
        }
      };
      const read = async () => {
        while (isMoving) expect((await store.load(key))?.userId).toBe('u');
      };
      const work = Promise.all([save(), countUp(), countUp(), read()]);
      try {
        const home = await cluster.ownerOf(slot);
        const others = cluster.nodes.filter((node) => node !== home);
        for (const node of [...others, home]) await cluster.moveSlot(slot, node);
      } finally {
        isMoving = false;
        await work;
      }
      const values = (await store.load(key))?.values ?? {};
      expect(values.sum).toBe(String(written.sum));
      expect(Object.keys(values)).toHaveLength(written.saves + 1);
      expect(Math.min(written.saves, written.sum)).toBeGreaterThan(10);
    });

    it('ends all sessions of a user, one that is just being renamed too', async () => {
      for (let round = 0; round < 20; round++) {
        const userId = `user ${newKey()}`;
        const keys = [newKey(), newKey(), newKey()];
        await Promise.all(keys.map((key) => store.create(key, aRecord({ userId }))));
        const newKeys = keys.map(newKey);
        const until = Date.now() + 30_000;
        const rename = (index: number) => store.rename(keys[index], newKeys[index], aChange(), until);
        const early = rename(0);
        const ended = store.deleteByUser(userId, { tombstoneUntil: until });
        await Promise.all([early, rename(1), rename(2)]);
        expect(await ended).toBe(3);
        const found = await Promise.all([...keys, ...newKeys].map((key) => store.load(key)));
        expect(found.filter((record) => record && !record.gone)).toEqual([]);
        expect(await store.findByUser(userId)).toEqual([]);
      }
    });

    it('loses nothing while the session is renamed from slot to slot under load', async () => {
      const handle = newKey().slice(32);
      let key = newKey();
      await store.create(key, aRecord({ handle, userId: `user ${handle}` }));
      let [saves, sum] = [0, 0];
      const save = async (old: string, name: string) => {
        if (await store.save(old, aChange({ set: { [name]: '1' } }))) saves++;
      };
      const countUp = async (old: string) => {
        if (await store.atomic(old, 'sum', (text) => String(Number(text ?? 0) + 1))) sum++;
      };
      for (let round = 0; round < 20; round++) {
        const [old, newer] = [key, newKey()];
        await countUp(old);
        const writes = [0, 1, 2].flatMap((each) => [save(old, `${round}.${each}`), countUp(old)]);
        const renamed = store.rename(old, newer, aChange(), Date.now() + 30_000);
        await Promise.all([...writes, save(old, `${round}.late`), countUp(old)]);
        expect(await renamed).toBe('renamed');
        key = newer;
      }
      expect(Math.min(saves, sum)).toBeGreaterThan(0);
      const [found, ...more] = await store.findByUser(`user ${handle}`);
      expect(more).toEqual([]);
      expect(found.key).toBe(key);
      expect(found.record.values.sum).toBe(String(sum));
      expect(Object.keys(found.record.values)).toHaveLength(saves + 1);
    });
  });
});
