import { createCluster } from 'redis';
import { RedisSessionStore } from 'nest-session/redis';
import { aRecord, newKey } from 'nest-session/testing';
import { type ProcessPlan, Processes } from '../support/processes.js';
import { describeWithServers, TestCluster, TestServer } from '../support/redis-servers.js';

const processes = new Processes('../stores/redis-opener.mjs');

interface Place {
  readonly options: unknown;
  readonly store: RedisSessionStore;
  remove(): Promise<void>;
}

const onOneNode = async (): Promise<Place> => {
  const server = await TestServer.start();
  const store = new RedisSessionStore(server.url);
  const remove = async () => {
    await store.close();
    await server.remove();
  };
  return { options: { url: server.url }, store, remove };
};

const inCluster = async (): Promise<Place> => {
  const cluster = await TestCluster.start();
  const clusterUrls = cluster.nodes.map(({ url }) => url);
  const client = await createCluster({ rootNodes: clusterUrls.map((url) => ({ url })) }).connect();
  const remove = async () => {
    client.destroy();
    await cluster.remove();
  };
  return { options: { clusterUrls }, store: new RedisSessionStore(client), remove };
};

describeWithServers('Several processes', () => {
  beforeAll(() => processes.compile());
  afterEach(() => processes.kill());
  afterAll(() => processes.remove());

  describe.each([
    ['on one node', onOneNode],
    ['in a cluster', inCluster],
  ] as const)('%s', (_, open) => {
    let place: Place;

    beforeAll(async () => {
      place = await open();
    }, 30_000);
    afterAll(() => place?.remove());

    it('lose nothing of what they write to one session at once, and their count adds up', async () => {
      const { store, options } = place;
      const [key, rounds, names] = [newKey(), 40, ['a', 'b', 'c']];
      await store.create(key, aRecord());
      await processes.run(names.map((name): ProcessPlan => ({ task: 'hammer', options, key, rounds, name })));
      const values = (await store.load(key))?.values ?? {};
      expect(values.sum).toBe(String(names.length * rounds));
      expect(Object.keys(values)).toHaveLength(names.length * rounds + 1);
      expect(await store.count()).toBe(1);
      await store.delete(key);
    });

    it('bring nothing back when one of them ends the session that the others write to', async () => {
      const { store, options } = place;
      const [key, names, userId] = [newKey(), ['a', 'b'], `user ${newKey()}`];
      await store.create(key, aRecord({ userId }));
      const tombstoneUntil = Date.now() + 30_000;
      const [ended, ...rounds] = await processes.run([
        { task: 'end', options, key, names, tombstoneUntil },
        ...names.map((name): ProcessPlan => ({ task: 'hammerUntilGone', options, key, name })),
      ]);
      expect(ended).toBe(true);
      for (const written of rounds) expect(written).toBeGreaterThanOrEqual(3);
      expect(await store.load(key)).toMatchObject({ gone: 'ended', values: {} });
      expect([await store.count(), await store.findByUser(userId)]).toEqual([0, []]);
    });
  });
});
