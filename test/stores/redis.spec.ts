import { RedisSessionStore } from 'nest-session/redis';
import { describeSessionStore } from 'nest-session/testing';
import { clientKinds, type TestClient } from '../support/redis-clients.js';
import { describeRedis, forgetAll, newPrefix, REDIS_URL } from '../support/redis-service.js';

await describeRedis('RedisSessionStore on one node', () => {
  describe.each(clientKinds)('with $name', (kind) => {
    const prefix = newPrefix();
    let clients: TestClient[];

    beforeEach(async () => {
      clients = [await kind.connect(REDIS_URL), await kind.connect(REDIS_URL)];
    });
    afterEach(async () => {
      await Promise.all(clients.map((each) => each.close()));
    });
    afterAll(() => forgetAll(prefix));

    describeSessionStore(
      'on two connections',
      async ({ clock }) => new RedisSessionStore(clients[0].client, { prefix, clock }),
      {
        openAnother: async ({ clock }) => new RedisSessionStore(clients[1].client, { prefix, clock }),
        breakIt: () => clients[0].close(),
        expiresByItself: true,
      },
    );
  });

  describe('with a URL', () => {
    const prefix = newPrefix();
    afterAll(() => forgetAll(prefix));

    describeSessionStore(
      'on connections of its own',
      async ({ clock }) => new RedisSessionStore(REDIS_URL, { prefix, clock }),
      {
        openAnother: async ({ clock }) => new RedisSessionStore(REDIS_URL, { prefix, clock }),
        breakIt: (store) => store.close(),
        expiresByItself: true,
      },
    );
  });
});
