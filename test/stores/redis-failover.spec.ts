import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { SessionHealthIndicator } from 'nest-session';
import { RedisSessionStore } from 'nest-session/redis';
import { aChange, aRecord, newKey } from 'nest-session/testing';
import { openConnection, withIoRedis, withNodeRedis } from '../../lib/stores/redis/redis-connection.js';
import { Browser } from '../support/browser.js';
import { CuttableProxy } from '../support/cuttable-proxy.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { ioRedis6, nodeRedis5 } from '../support/redis-clients.js';
import { describeWithServers, TestServer, until } from '../support/redis-servers.js';
import { Views, ways } from '../support/redis-ways.js';

describeWithServers('RedisSessionStore after a fail-over by REPLICAOF', () => {
  let primary: TestServer;
  let replica: TestServer;
  let name: CuttableProxy; // the name by which an application knows the primary
  let warn: jest.SpiedFunction<Logger['warn']>;

  beforeEach(async () => {
    warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    jest.spyOn(Logger.prototype, 'log').mockImplementation(() => undefined);
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    primary = await TestServer.start('--repl-diskless-sync-delay', '0');
    replica = await TestServer.start('--replicaof', '127.0.0.1', String(primary.port));
    const isInStep = async () => (await replica.info('replication')).master_link_status === 'up';
    await until(isInStep, 'the replica is in step');
    name = new CuttableProxy(new URL(primary.url));
    await name.mend();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await name.cut();
    await Promise.all([primary.remove(), replica.remove()]);
  });

  /** The name leads to the new primary, and the old one keeps the connections that it has. */
  const failOver = async () => {
    const offset = async (server: TestServer) => (await server.info('replication')).master_repl_offset;
    const isInStep = async () => (await offset(primary)) === (await offset(replica));
    await until(isInStep, 'the replica has it all');
    await replica.send('REPLICAOF', 'NO', 'ONE');
    await primary.send('REPLICAOF', '127.0.0.1', String(replica.port));
    name.leadTo(new URL(replica.url));
  };

  it.each(ways)('repeats what met the replica on a new connection, by %s', async (_, connect) => {
    const connection = await connect(name.url);
    try {
      const store = new RedisSessionStore(connection.client);
      const key = newKey();
      await store.create(key, aRecord({ userId: 'u', values: { a: '1' } }));
      await failOver();
      const values = Array.from({ length: 20 }, (__, n) => String(n));
      const saves = values.map((value) => store.save(key, aChange({ set: { [`v${value}`]: value } })));
      expect(await Promise.all(saves)).toEqual(values.map(() => true));
      expect(Object.keys((await store.load(key))?.values ?? {})).toHaveLength(21);
      expect(await replica.send('HLEN', `session:${key}`)).toBe(23);
      await store.ping();
      expect(await store.deleteByUser('u')).toBe(1);
      expect(warn.mock.calls.map(([text]) => String(text))).toEqual([
        expect.stringMatching(/read-only replica, as after a fail-over: the connection is made anew/),
      ]);
    } finally {
      await connection.close();
    }
  });

  it('takes a new connection to its URL, and leaves none to the old server', async () => {
    const store = new RedisSessionStore(name.url);
    try {
      const key = newKey();
      await store.create(key, aRecord());
      await failOver();
      const changes = Array.from({ length: 20 }, () => store.save(key, aChange()));
      expect(await Promise.all(changes)).toEqual(changes.map(() => true));
      const clients = async () => String(await primary.send('CLIENT', 'LIST', 'TYPE', 'normal'));
      const isLeft = async () => !/cmd=(evalsha|eval|hgetall)/.test(await clients());
      await until(isLeft, 'the old server has no connection of the store');
    } finally {
      await store.close();
    }
  });

  it('goes on as it is, and says why, where the name still leads to the replica', async () => {
    const store = new RedisSessionStore(name.url);
    try {
      const key = newKey();
      await store.create(key, aRecord());
      await primary.send('REPLICAOF', '127.0.0.1', String(replica.port));
      const failures = await Promise.allSettled(Array.from({ length: 50 }, () => store.save(key, aChange())));
      for (const failure of failures) expect(failure).toMatchObject({ reason: { code: 'READONLY' } });
      await expect(store.ping()).rejects.toThrow(/is a replica.*address of its primary/);
      expect(await store.load(key)).toBeDefined();
      const { total_connections_received } = await primary.info('stats');
      expect(Number(total_connections_received)).toBeLessThan(30);
      await primary.send('REPLICAOF', 'NO', 'ONE');
      expect(await store.save(key, aChange())).toBe(true);
    } finally {
      await store.close();
    }
  });

  describe.each(platforms)('over HTTP on %s', (platform) => {
    let app: TestApp;
    afterEach(() => app?.close());

    it('answers every request, and health says up', async () => {
      app = await startApp({
        platform,
        controllers: [Views],
        store: RedisSessionStore.with({ url: name.url }),
      });
      const visitor = new Browser(app.url);
      expect((await visitor.post('/write')).status).toBe(201);
      await failOver();
      expect((await visitor.post('/write')).json()).toEqual({ views: 2 });
      expect((await visitor.get('/read')).json()).toEqual({ views: 2 });
      const health = app.get<SessionHealthIndicator>(SessionHealthIndicator);
      expect(await health.isHealthy()).toMatchObject({ session: { status: 'up' } });
    });
  });
});

describeWithServers('RedisSessionStore when the connection breaks', () => {
  let server: TestServer;
  let name: CuttableProxy;

  beforeEach(async () => {
    for (const level of ['warn', 'log', 'error'] as const)
      jest.spyOn(Logger.prototype, level).mockImplementation(() => undefined);
    server = await TestServer.start();
    name = new CuttableProxy(new URL(server.url));
    await name.mend();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await name.cut();
    await server.remove();
  });

  it.each(ways)('asks once more for what was being read, by %s', async (_, connect) => {
    const connection = await connect(name.url);
    try {
      const store = new RedisSessionStore(connection.client);
      const key = newKey();
      await store.create(key, aRecord({ userId: 'u', values: { a: '1' } }));
      await store.load(key);
      const before = name.sent;
      server.freeze();
      const read = Promise.all([store.load(key), store.findByUser('u')]);
      await until(async () => name.sent > before, 'the question is under way');
      await name.cut();
      await name.mend();
      server.thaw();
      const [loaded, found] = await read;
      expect(loaded?.values.a).toBe('1');
      expect(found.map((session) => session.key)).toEqual([key]);
    } finally {
      server.thaw();
      await connection.close();
    }
  });

  it.each([
    ['a node-redis of its own', withNodeRedis],
    ['an ioredis of its own', withIoRedis],
  ])('never repeats a write that may have been done, by %s', async (_, make) => {
    const connection = await openConnection(name.url, [make]);
    try {
      const store = new RedisSessionStore(connection.client);
      const key = newKey();
      await store.create(key, aRecord());
      await store.atomic(key, 'n', () => '1');
      const before = name.sent;
      server.freeze();
      const saved = store.save(key, aChange({ set: { a: '1' } })).then(
        () => 'saved',
        () => 'failed',
      );
      await until(async () => name.sent > before, 'the change is under way');
      await name.cut();
      await name.mend();
      server.thaw();
      expect(await saved).toBe('failed');
      await until(() => store.ping().then(() => true), 'the client is connected again');
    } finally {
      server.thaw();
      await connection.close();
    }
  });

  it('names what takes no write, and leaves nothing behind when it asks', async () => {
    const clients = await Promise.all([nodeRedis5, ioRedis6].map((kind) => kind.connect(server.url)));
    try {
      for (const { client } of clients) {
        const store = new RedisSessionStore(client);
        const key = newKey();
        await store.create(key, aRecord());
        const size = await server.send('DBSIZE');
        await store.ping();
        expect(await server.send('DBSIZE')).toBe(size);

        await server.send('CONFIG', 'SET', 'maxmemory', '1');
        await expect(store.ping()).rejects.toMatchObject({
          code: 'OOM',
          message: expect.stringContaining('maxmemory'),
        });
        expect(await store.load(key)).toBeDefined();
        expect(await store.deleteExpired()).toBe(0);
        await server.send('CONFIG', 'SET', 'maxmemory', '0');
        await store.ping();

        await server.send('CONFIG', 'SET', 'min-replicas-to-write', '1');
        await expect(store.ping()).rejects.toMatchObject({ code: 'NOREPLICAS' });
        await server.send('CONFIG', 'SET', 'min-replicas-to-write', '0');
        await store.ping();
      }
    } finally {
      await Promise.all(clients.map((client) => client.close()));
    }
  });
});
