import { RedisSessionStore } from 'nest-session/redis';
import { describeSessionStore } from 'nest-session/testing';
import { ioRedis5, ioRedis6, nodeRedis6, type TestClient } from '../support/redis-clients.js';
import { describeWithServers, TestCluster } from '../support/redis-servers.js';

describeWithServers('RedisSessionStore in a cluster', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await TestCluster.start();
  }, 30_000);
  afterAll(() => cluster.remove());

  describe.each([nodeRedis6, ioRedis6, ioRedis5])('with $name', (kind) => {
    let clients: TestClient[];

    beforeEach(async () => {
      clients = [await kind.connectCluster(cluster.ports), await kind.connectCluster(cluster.ports)];
    });
    afterEach(async () => {
      await Promise.all(clients.map((each) => each.close()));
    });

    describeSessionStore(
      'on two connections',
      async ({ clock }) => new RedisSessionStore(clients[0].client, { clock }),
      {
        openAnother: async ({ clock }) => new RedisSessionStore(clients[1].client, { clock }),
        breakIt: () => clients[0].close(),
        expiresByItself: true,
      },
    );
  });
});
