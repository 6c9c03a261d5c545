import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { MemorySessionStore, SessionModule, type SessionModuleOptions, SessionStore } from 'nest-session';
import { RedisSessionStore } from 'nest-session/redis';
import { aRecord, newKey } from 'nest-session/testing';
import { createClient } from 'redis';
import { openConnection } from '../../lib/stores/redis/redis-connection.js';
import { nodeRedis5, type TestClient } from '../support/redis-clients.js';
import { describeRedis, forgetAll, newPrefix, REDIS_URL } from '../support/redis-service.js';

const secret = 'a secret of at least thirty-two characters';
const CLIENT = Symbol('a client of the application');

const compile = (store: SessionModuleOptions['store']) =>
  Test.createTestingModule({ imports: [SessionModule.forRoot({ secret, store })] });

await describeRedis('RedisSessionStore set up', () => {
  const prefix = newPrefix();
  let connection: TestClient;

  beforeAll(async () => {
    connection = await nodeRedis5.connect(REDIS_URL);
  });
  afterAll(() => connection.close());
  afterAll(() => forgetAll(prefix));

  const ioRedis = (options: RedisOptions) => {
    const client = new Redis(REDIS_URL, options);
    cleanUp.push(() => client.quit());
    return client;
  };
  const cleanUp: (() => Promise<unknown>)[] = [];
  afterEach(() => Promise.all(cleanUp.splice(0).map((each) => each())));

  const useOnce = async (store: SessionStore) => {
    const key = newKey();
    expect(await store.create(key, aRecord())).toBe(true);
    expect(await connection.send('EXISTS', prefix + key)).toBe(1);
  };
  const connections = async () => String(await connection.send('CLIENT', 'LIST')).split('\n').length;

  it('connects to its URL when the application starts, and closes when it ends', async () => {
    const url = new URL(REDIS_URL);
    url.username ||= 'default';
    url.password ||= 'any';
    const module = await compile(RedisSessionStore.with({ url: url.href, prefix })).compile();
    const before = await connections();
    await module.init();
    expect(await connections()).toBe(before + 1);
    await useOnce(module.get(SessionStore));
    await module.close();
    expect(await connections()).toBe(before);
    await expect(module.get(SessionStore).ping()).rejects.toThrow('closed');
  });

  it('takes a client by the token of its provider, and leaves it open', async () => {
    @Module({ providers: [{ provide: CLIENT, useFactory: () => connection.client }], exports: [CLIENT] })
    class ClientModule {}
    const store = RedisSessionStore.with({ client: CLIENT, imports: [ClientModule], prefix });
    const module = await compile(store).compile();
    await module.init();
    await useOnce(module.get(SessionStore));
    await module.close();
    expect(await connection.send('PING')).toBe('PONG');
  });

  it('takes a client as it is', async () => {
    const module = await compile(RedisSessionStore.with({ client: connection.client, prefix })).compile();
    await module.init();
    await useOnce(module.get(SessionStore));
    await module.close();
  });

  it('puts ioredis’ keyPrefix before its own, and still counts and finds by user', async () => {
    const client = ioRedis({ keyPrefix: `${prefix}io*:` });
    const store = new RedisSessionStore(client);
    const key = newKey();
    await store.create(key, aRecord({ userId: '7' }));
    expect(await connection.send('EXISTS', `${prefix}io*:session:${key}`)).toBe(1);
    expect(await store.count()).toBe(1);
    expect((await store.findByUser('7')).map((session) => session.key)).toEqual([key]);
    expect(await store.deleteByUser('7')).toBe(1);
    expect(await store.count()).toBe(0);
  });

  it('connects a lazy ioredis when it is needed', async () => {
    const client = ioRedis({ lazyConnect: true, enableOfflineQueue: false });
    await useOnce(new RedisSessionStore(client, { prefix }));
  });

  it('gives texts and numbers as they are, whatever the client makes of replies', async () => {
    const strings = ioRedis({ stringNumbers: true });
    const resp3 = await createClient({ url: REDIS_URL, RESP: 3 }).connect();
    cleanUp.push(() => resp3.close());
    const buffers = resp3.withTypeMapping({ 36: Buffer, 37: Map, 43: Buffer, 58: String } as never);
    for (const client of [strings, resp3, buffers]) {
      const store = new RedisSessionStore(client, { prefix });
      const [key, newer, userId] = [newKey(), newKey(), `user ${newKey()}`];
      expect(await store.create(key, aRecord({ values: { a: '"1"' }, userId }))).toBe(true);
      expect(await store.create(key, aRecord())).toBe(false);
      expect(await store.atomic(key, 'a', (text) => `${text} ${text}`)).toEqual({ text: '"1" "1"' });
      expect(await store.rename(key, newer, { ...aRecord(), set: {}, removed: [], basedOn: '' })).toBe(
        'renamed',
      );
      expect({ ...(await store.findByUser(userId))[0].record.values }).toEqual({ a: '"1" "1"' });
      expect(await store.delete(key)).toBe(false);
      expect(await store.delete(newer)).toBe(true);
    }
  });

  it('does not construct a store that a test overrides', async () => {
    let wasConstructed = false;

    @Injectable()
    class Watched extends RedisSessionStore.with({ url: undefined }) {
      readonly watch = (wasConstructed = true);
    }
    const module = await compile(Watched)
      .overrideProvider(SessionStore)
      .useClass(MemorySessionStore)
      .compile();
    await module.init();
    expect(module.get(SessionStore)).toBeInstanceOf(MemorySessionStore);
    expect(wasConstructed).toBe(false);
    await module.close();
  });
});

describe('RedisSessionStore set up wrongly', () => {
  const startsWith = (store: SessionModuleOptions['store']) => expect(compile(store).compile()).rejects;

  it('says what to write when it has no server', async () => {
    await startsWith(RedisSessionStore).toThrow(
      /RedisSessionStore\.with\(\{ url: process\.env\.REDIS_URL \}\)/,
    );
    await startsWith(RedisSessionStore.with({ url: undefined })).toThrow(/see that it is set/);
  });

  it('says what to write when it has two', async () => {
    const both = RedisSessionStore.with({ url: 'redis://localhost', client: { isOpen: true } as never });
    await startsWith(both).toThrow('a client or a url, not both');
  });

  it('says what a URL looks like, and does not show the one it got', () => {
    for (const wrong of ['localhost:6379/geheim', 'http://geheim@localhost', '']) {
      const construct = () => new RedisSessionStore(wrong);
      expect(construct).toThrow(/redis:\/\/user:password@host:6379\/0/);
      expect(construct).not.toThrow(/geheim/);
    }
  });

  it('says what a client is', () => {
    expect(() => new RedisSessionStore({ get: () => undefined } as never)).toThrow(/node-redis or ioredis/);
  });

  it('names the token when nobody provides the client', async () => {
    await startsWith(RedisSessionStore.with({ client: CLIENT })).toThrow(/a client of the application/);
  });

  it('says what to do about a node-redis that nobody has connected', async () => {
    const store = new RedisSessionStore(createClient());
    await expect(store.onModuleInit()).rejects.toThrow(/connect it first/);
  });

  it('refuses a cluster that reads from replicas', () => {
    const client = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true, scaleReads: 'slave' });
    expect(() => new RedisSessionStore(client)).toThrow(/scaleReads: 'master'/);
  });

  it('says what to install when it got a URL and neither client is there', async () => {
    const missing = (name: string) => () =>
      Promise.reject(
        Object.assign(new Error(`Cannot find package '${name}'`), { code: 'ERR_MODULE_NOT_FOUND' }),
      );
    const opening = openConnection('redis://localhost', [missing('redis'), missing('ioredis')]);
    await expect(opening).rejects.toThrow(/`npm install redis`, or `npm install ioredis`/);
    const broken = () => Promise.reject(new Error('broken'));
    await expect(openConnection('redis://localhost', [broken])).rejects.toThrow('broken');
  });
});
