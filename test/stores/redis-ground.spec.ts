import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { SessionHealthIndicator, SessionOptionsError } from 'nest-session';
import { type RedisClient, RedisSessionStore } from 'nest-session/redis';
import { aChange, aRecord, newKey } from 'nest-session/testing';
import { createClient } from 'redis';
import { openConnection, withIoRedis, withNodeRedis } from '../../lib/stores/redis/redis-connection.js';
import { platforms, startApp } from '../support/http-app.js';
import { clientKinds, nodeRedis6, ioRedis6 } from '../support/redis-clients.js';
import { describeWithServers, TestCluster, TestServer, until } from '../support/redis-servers.js';

/** What the README says an ACL must allow. */
const COMMANDS =
  'eval evalsha del exists hdel hget hgetall hkeys hmget hstrlen hset pexpire rename zadd zrange zrangebyscore zrem zremrangebyscore zscore';
const OPTIONAL = 'ping info scan select';

const makers = [
  ['node-redis', withNodeRedis],
  ['ioredis', withIoRedis],
] as const;

describeWithServers('RedisSessionStore looks at its server when the application starts', () => {
  let warn: jest.SpiedFunction<Logger['warn']>;
  let server: TestServer;
  let secured: TestServer;
  const cleanUp: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    server = await TestServer.start('--repl-diskless-sync-delay', '0');
    secured = await TestServer.start('--databases', '4');
    await secured.send('ACL', 'SETUSER', 'app', 'on', '>geheim', '~*', '&*', '+@all');
    await secured.send('ACL', 'SETUSER', 'default', 'resetpass', '>geheim');
  });
  afterAll(() => Promise.all([server?.remove(), secured?.remove()]));
  beforeEach(() => {
    warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    for (const level of ['log', 'error'] as const)
      jest.spyOn(Logger.prototype, level).mockImplementation(() => undefined);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const each of cleanUp.splice(0).reverse()) await each(); // clients before their servers
  });

  const startWith = async (source: string | RedisClient, prefix?: string) => {
    const store = new RedisSessionStore(source, { ...(prefix !== undefined && { prefix }) });
    cleanUp.push(() => store.close());
    return store.onModuleInit().then(
      () => undefined,
      (error: unknown) => error,
    );
  };
  const mistake = (text: RegExp) =>
    expect.objectContaining({ code: 'SESSION_OPTIONS', message: expect.stringMatching(text) });
  const warnings = () => warn.mock.calls.map(([text]) => String(text));

  describe.each(makers)('with %s', (_, make) => {
    const own = async (url: string) => {
      const { client, close } = await openConnection(url, [make]);
      cleanUp.push(close);
      return client;
    };
    const cases: [string, (port: number) => string, RegExp][] = [
      ['no password', (port) => `redis://127.0.0.1:${port}`, /asks for a password.*redis:\/\/user:password@/],
      [
        'a wrong password',
        (port) => `redis://:falsch@127.0.0.1:${port}`,
        /refuses the user or the password.*encodeURIComponent/,
      ],
      ['a wrong user', (port) => `redis://root:geheim@127.0.0.1:${port}`, /refuses the user or the password/],
      [
        'a database that is not there',
        (port) => `redis://:geheim@127.0.0.1:${port}/99`,
        /no database of that number/,
      ],
    ];

    it.each(cases)('fails with %s, soon, and shows neither URL nor password', async (__, url, text) => {
      const start = performance.now();
      const failure = await startWith(await own(url(secured.port)));
      expect(failure).toBeInstanceOf(SessionOptionsError);
      expect(failure).toEqual(mistake(text));
      expect(String(failure)).not.toMatch(/geheim|falsch|root|127\.0\.0\.1/);
      expect(performance.now() - start).toBeLessThan(3_000);
      expect(warnings().join()).not.toMatch(/geheim|falsch|root|\.\./);
    });

    it('starts with the right password, user and database', async () => {
      for (const url of [
        `redis://:geheim@127.0.0.1:${secured.port}/3`,
        `redis://app:geheim@127.0.0.1:${secured.port}`,
      ])
        expect(await startWith(await own(url))).toBeUndefined();
      expect(warnings()).toEqual([]);
    });

    it('fails at a replica, and says to take the primary', async () => {
      const replica = await TestServer.start('--replicaof', '127.0.0.1', String(server.port));
      cleanUp.push(() => replica.remove());
      const isInStep = async () => (await replica.info('replication')).master_link_status === 'up';
      await until(isInStep, 'the replica is in step');
      expect(await startWith(await own(replica.url))).toEqual(
        mistake(/is a replica.*address of its primary/),
      );
    });

    it('says which commands an ACL must allow, all at once', async () => {
      const url = `redis://bob:geheim@127.0.0.1:${server.port}`;
      const allow = (...rules: string[]) =>
        server.send('ACL', 'SETUSER', 'bob', 'reset', 'on', '>geheim', ...rules);
      const client = await own(url).then(async (each) => {
        await allow('~*', '+@all');
        return each;
      });
      await allow('~session:*', '+@all', '-hset', '-zadd', '-pexpire');
      expect(await startWith(client)).toEqual(mistake(/allow \+hset \+zadd in its ACL/));
      await allow('~session:*', '+@all', '-pexpire', '-zscore');
      expect(await startWith(client)).toEqual(mistake(/allow \+pexpire \+zscore in its ACL/));
      await allow('~session:*', '+@all', '-evalsha');
      expect(await startWith(client)).toEqual(mistake(/allow \+evalsha in its ACL/));
      await allow('~session:*', '+@all', '-eval');
      expect(await startWith(client)).toEqual(mistake(/allow \+eval in its ACL/));
      await allow('~session:*', '+@all', '-del');
      expect(await startWith(client)).toEqual(mistake(/allow \+del in its ACL/));
      await allow('~other:*', '+@all');
      expect(await startWith(client)).toEqual(mistake(/allow ~session:\* in its ACL/));
      await allow('~session:user:*', '+@all');
      expect(await startWith(client, 'session:')).toEqual(mistake(/allow ~session:\* in its ACL/));
      await allow('~shop:*', '+@all');
      expect(await startWith(client, 'shop:')).toBeUndefined();
    });

    it.each(['', OPTIONAL])('does all its work with a user who may do just that, and “%s”', async (more) => {
      const rules = `${COMMANDS} ${more}`
        .trim()
        .split(' ')
        .map((command) => `+${command}`);
      await server.send('ACL', 'SETUSER', 'bob', 'reset', 'on', '>geheim', '~shop:*', ...rules);
      const store = new RedisSessionStore(await own(`redis://bob:geheim@127.0.0.1:${server.port}`), {
        prefix: 'shop:',
      });
      await server.send('SCRIPT', 'FLUSH');
      await store.onModuleInit();
      const [key, newer] = [newKey(), newKey()];
      expect(await store.create(key, aRecord({ userId: 'u', values: { a: '1' } }))).toBe(true);
      expect(await store.save(key, aChange({ set: { b: '2' }, removed: ['a'] }))).toBe(true);
      expect(await store.save(key, aChange({ cleared: true, set: { b: '2' }, policy: 'p' }))).toBe(true);
      expect(await store.touch(key, aChange({ basedOn: 'p' }))).toBe(true);
      expect(await store.atomic(key, 'n', () => '1')).toEqual({ text: '1' });
      expect(await store.atomic(key, 'n', () => undefined)).toEqual({ text: undefined });
      expect(await store.rename(key, newer, aChange(), Date.now() + 30_000)).toBe('renamed');
      expect({ ...(await store.load(newer))?.values }).toEqual({ b: '2' });
      expect(await store.findByUser('u')).toHaveLength(1);
      expect(await store.deleteByUser('u', { tombstoneUntil: Date.now() + 1_000 })).toBe(1);
      await store.ping();
      if (more !== '') expect(await store.count()).toBe(0);
    });

    it('fails at a node of a cluster, and says what client to take', async () => {
      const cluster = await TestCluster.start();
      cleanUp.push(() => cluster.remove());
      for (const { url } of cluster.nodes)
        expect(await startWith(await own(url))).toEqual(
          mistake(/node of a cluster.*createCluster.*Cluster of ioredis/),
        );
    }, 30_000);
  });

  it('looks at a cluster by a client of the cluster, and leaves nothing there', async () => {
    const cluster = await TestCluster.start();
    cleanUp.push(() => cluster.remove());
    for (const kind of [nodeRedis6, ioRedis6]) {
      const { client, close } = await kind.connectCluster(cluster.ports);
      cleanUp.push(close);
      expect(await startWith(client)).toBeUndefined();
      for (const node of cluster.nodes) expect(await node.send('DBSIZE')).toBe(0);
    }
  }, 30_000);

  it('says the same of a client that it was given', async () => {
    const own = new Redis({ port: secured.port, maxRetriesPerRequest: 0 });
    own.on('error', () => undefined);
    cleanUp.push(async () => own.disconnect());
    expect(await startWith(own)).toEqual(mistake(/asks for a password/));
    const node = createClient({ url: secured.url });
    node.on('error', () => undefined);
    cleanUp.push(async () => node.destroy());
    await node.connect();
    expect(await startWith(node as never)).toEqual(mistake(/asks for a password/));
  });

  it.each(clientKinds)('leaves nothing behind, by $name', async (kind) => {
    const { client, close } = await kind.connect(server.url);
    cleanUp.push(close);
    await server.send('FLUSHALL');
    expect(await startWith(client)).toBeUndefined();
    expect(await server.send('DBSIZE')).toBe(0);
    expect(warnings()).toEqual([]);
  });

  it('warns of a server that drops keys when it is full, and says what to set', async () => {
    for (const policy of ['allkeys-lru', 'volatile-ttl']) {
      await server.send('CONFIG', 'SET', 'maxmemory-policy', policy);
      expect(await startWith(server.url)).toBeUndefined();
      expect(warnings().splice(-1)).toEqual([
        expect.stringMatching(new RegExp(`maxmemory-policy ${policy}.*Set .maxmemory-policy noeviction`)),
      ]);
    }
    expect(warn).toHaveBeenCalledTimes(2);
    await server.send('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });

  it('starts with a full server, and warns', async () => {
    await server.send('CONFIG', 'SET', 'maxmemory', '1');
    expect(await startWith(server.url)).toBeUndefined();
    await server.send('CONFIG', 'SET', 'maxmemory', '0');
    expect(warnings()).toEqual([expect.stringMatching(/is full \(OOM\).*maxmemory/)]);
  });

  describe.each(platforms)('on %s', (platform) => {
    it('ends the start with what is wrong', async () => {
      const store = RedisSessionStore.with({ url: secured.url });
      await expect(startApp({ platform, controllers: [], store })).rejects.toEqual(
        mistake(/asks for a password/),
      );
    });

    it('tells of a server that became read-only by its health', async () => {
      const store = RedisSessionStore.with({ url: server.url });
      const app = await startApp({ platform, controllers: [], store });
      const health = app.get<SessionHealthIndicator>(SessionHealthIndicator);
      expect(await health.isHealthy()).toMatchObject({ session: { status: 'up' } });
      await server.send('REPLICAOF', '127.0.0.1', '1');
      expect(await health.isHealthy()).toMatchObject({ session: { status: 'down' } });
      await server.send('REPLICAOF', 'NO', 'ONE');
      expect(await health.isHealthy()).toMatchObject({ session: { status: 'up' } });
      await app.close();
    });
  });
});

describe('RedisSessionStore looks at its URL', () => {
  it.each(['#', '/', '?', '%', '50%off', 'a#b@c', '1/2', '12#3', '%zz'])(
    'and says that “%s” in a password must be encoded',
    (sign) => {
      for (const user of ['', 'app', '12']) {
        const construct = (password: string) => () =>
          new RedisSessionStore(`redis://${user}:${password}@localhost:6379/0`);
        expect(construct(`geheim${sign}geheim`)).toThrow(/# as %23, \/ as %2F, \? as %3F and % as %25/);
        expect(construct(`geheim${sign}geheim`)).not.toThrow(/geheim/);
        expect(construct(encodeURIComponent(`geheim${sign}`))).not.toThrow();
        expect(construct(sign)).toThrow(/encodeURIComponent/);
      }
    },
  );

  it('and says that a database is a number', () => {
    expect(() => new RedisSessionStore('redis://localhost/sessions')).toThrow(
      /end it with \/0 or another number/,
    );
  });
});
