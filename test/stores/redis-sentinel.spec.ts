import { Redis as IoRedis5 } from 'ioredis';
import { Redis as IoRedis6 } from 'ioredis-6';
import { type RedisClient, RedisSessionStore } from 'nest-session/redis';
import { aChange, aRecord, newKey } from 'nest-session/testing';
import { createSentinel as createSentinel5 } from 'redis';
import { createSentinel as createSentinel6 } from 'redis-6';
import { describeWithServers, TestServer, until } from '../support/redis-servers.js';

interface Connected {
  client: RedisClient;
  close(): Promise<void>;
}

const nodeRedis = (createSentinel: typeof createSentinel5) => async (port: number) => {
  const client = createSentinel({
    name: 'main',
    sentinelRootNodes: [{ host: '127.0.0.1', port }],
    scanInterval: 100,
  });
  client.on('error', () => undefined);
  await client.connect();
  return { client, close: async () => client.destroy() };
};

const ioRedis = (Redis: typeof IoRedis5) => async (port: number) => {
  const client = new Redis({
    name: 'main',
    sentinels: [{ host: '127.0.0.1', port }],
    maxRetriesPerRequest: 0,
  });
  client.on('error', () => undefined);
  const close = async () => {
    client.disconnect();
    await until(async () => client.status === 'end', 'ioredis is disconnected');
  };
  return { client, close };
};

const ways: [string, (port: number) => Promise<Connected>][] = [
  ['node-redis 5', nodeRedis(createSentinel5)],
  ['node-redis 6', nodeRedis(createSentinel6 as never)],
  ['ioredis 5', ioRedis(IoRedis5)],
  ['ioredis 6', ioRedis(IoRedis6 as never)],
];

describeWithServers('RedisSessionStore behind Sentinel', () => {
  let servers: TestServer[];
  let connection: Connected | undefined;
  let [master, replica, sentinel]: TestServer[] = [];

  beforeEach(async () => {
    servers = [];
    connection = undefined;
    servers.push((master = await TestServer.start('--repl-diskless-sync-delay', '0')));
    servers.push((replica = await TestServer.start('--replicaof', '127.0.0.1', String(master.port))));
    await until(
      async () => (await replica.info('replication')).master_link_status === 'up',
      'the replica is in step',
    );
    servers.push((sentinel = await TestServer.startSentinel(master)));
    const knowsReplica = async () => (await sentinel.info('sentinel')).master0?.includes('slaves=1') ?? false;
    await until(knowsReplica, 'the sentinel knows the replica', 20_000);
  }, 40_000);
  afterEach(async () => {
    await connection?.close();
    await Promise.all(servers.map((server) => server.remove()));
  });

  it.each(ways)(
    'goes on with the new master when the old one is killed, by %s',
    async (_, connect) => {
      connection = await connect(sentinel.port);
      const store = new RedisSessionStore(connection.client);
      const [key, newer] = [newKey(), newKey()];
      await store.create(key, aRecord({ values: { cart: '["tea"]' }, userId: 'u' }));
      await store.save(key, aChange({ set: { lang: '"en"' } }));
      await until(async () => (await replica.send('HLEN', `session:${key}`)) === 4, 'the replica has it');
      expect((await replica.info('memory')).number_of_cached_scripts).toBe('0');

      await master.stop();
      const isLoaded = async () => (await store.load(key)) !== undefined;
      await until(isLoaded, 'the client has found the new master', 20_000);
      expect((await replica.info('replication')).role).toBe('master');
      expect(await store.save(key, aChange({ set: { theme: '"dark"' } }))).toBe(true);
      expect(await store.atomic(key, 'views', () => '1')).toEqual({ text: '1' });
      expect(await store.rename(key, newer, aChange(), Date.now() + 30_000)).toBe('renamed');
      const values = { cart: '["tea"]', lang: '"en"', theme: '"dark"', views: '1' };
      expect({ ...(await store.load(newer))?.values }).toEqual(values);
      expect((await store.findByUser('u')).map((session) => session.key)).toEqual([newer]);
      expect(await store.delete(newer)).toBe(true);
    },
    60_000,
  );
});
