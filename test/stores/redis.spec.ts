import { RedisSessionStore } from 'nest-session/redis';
import { describeSessionStore } from 'nest-session/testing';
import { clientKinds, Connections } from '../support/redis-clients.js';
import { describeRedis, forgetAll, newPrefix, REDIS_URL } from '../support/redis-service.js';

await describeRedis('RedisSessionStore on one node', () => {
  describe.each(clientKinds)('with $name', (kind) => {
    const prefix = newPrefix();
    const connections = new Connections(() => kind.connect(REDIS_URL));

    afterAll(() => connections.close());
    afterAll(() => forgetAll(prefix));

    describeSessionStore(
      'on two connections',
      async ({ clock }) => new RedisSessionStore(await connections.get(0), { prefix, clock }),
      {
        openAnother: async ({ clock }) => new RedisSessionStore(await connections.get(1), { prefix, clock }),
        breakIt: () => connections.close(),
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
