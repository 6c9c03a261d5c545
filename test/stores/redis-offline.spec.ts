import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { type RedisClient, RedisSessionStore } from 'nest-session/redis';
import { aChange, aRecord, newKey } from 'nest-session/testing';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { ioRedis6, nodeRedis5 } from '../support/redis-clients.js';
import { describeWithServers, TestServer, until } from '../support/redis-servers.js';
import { type Connected, Views, ways } from '../support/redis-ways.js';

describeWithServers('RedisSessionStore while Redis is away', () => {
  let server: TestServer;
  let warn: jest.SpiedFunction<Logger['warn']>;
  let cleanUp: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server?.remove());
  beforeEach(() => {
    warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    jest.spyOn(Logger.prototype, 'log').mockImplementation(() => undefined);
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await Promise.all(cleanUp.map((each) => each()));
    cleanUp = [];
    await server.stop();
    await server.start();
  });

  describe.each(ways)('with %s', (_, connect) => {
    let connection: Connected;
    let store: RedisSessionStore;

    beforeEach(async () => {
      connection = await connect(server.url);
      store = new RedisSessionStore(connection.client);
      await store.ping();
    });
    afterEach(() => connection.close());

    it('refuses commands at once, keeps none of them for later, and works when it is back', async () => {
      const key = newKey();
      await store.create(key, aRecord());
      await server.stop();
      await until(async () => isAway(connection.client), 'the client has noticed');
      const commands = Array.from({ length: 1_000 }, () => store.create(newKey(), aRecord()));
      const outcomes = await Promise.allSettled([...commands, store.save(key, aChange()), store.ping()]);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toEqual([]);

      await server.start();
      await until(() => isAnswered(store), 'the client is connected again');
      expect(await server.send('DBSIZE')).toBe(0);
      expect(await store.create(key, aRecord())).toBe(true);
    });

    it('goes on where the server forgot its scripts', async () => {
      const key = newKey();
      await store.create(key, aRecord());
      await server.send('SCRIPT', 'FLUSH');
      expect(await store.save(key, aChange({ set: { a: '1' } }))).toBe(true);
      expect({ ...(await store.load(key))?.values }).toEqual({ a: '1' });
    });
  });

  describe.each(platforms)('over HTTP on %s', (platform) => {
    let app: TestApp;
    let visitor: Browser;

    afterEach(() => app?.close());

    const start = async (store: Parameters<typeof startApp>[0]['store']) => {
      app = await startApp({ platform, controllers: [Views], store, session: { storeTimeout: '500ms' } });
      visitor = new Browser(app.url);
    };
    const isUnavailable = async (method: 'GET' | 'POST', path: string) => {
      const answer = await visitor.request(method, path);
      expect([answer.status, answer.setCookies]).toEqual([503, []]);
    };
    const works = async () => (await visitor.post('/write')).status === 201;

    it('answers 503 while it is stopped, and the next request after it is back works', async () => {
      await start(RedisSessionStore.with({ url: server.url }));
      expect(await works()).toBe(true);
      await server.stop();
      await isUnavailable('GET', '/read');
      await isUnavailable('POST', '/write');
      await server.start();
      await until(works, 'the application is connected again');
      expect((await visitor.get('/read')).json()).toEqual({ views: 1 });
    });

    it('answers 503 within storeTimeout while it hangs, and goes on afterwards', async () => {
      await start(RedisSessionStore.with({ url: server.url }));
      expect(await works()).toBe(true);
      server.freeze();
      await isUnavailable('GET', '/read');
      await isUnavailable('POST', '/write');
      server.thaw();
      await until(works, 'the server answers again');
    });
  });

  it('warns once, and shows no password', async () => {
    const { port } = server;
    const store = new RedisSessionStore(`redis://default:geheim@127.0.0.1:${port}`);
    cleanUp.push(() => store.close());
    await store.ping();
    await server.stop();
    await until(async () => warn.mock.calls.length > 0, 'it warned');
    await expect(store.ping()).rejects.toThrow(/Redis is away/);
    const refused = await store.ping().catch(String);
    await server.start();
    await until(() => isAnswered(store), 'it is connected again');
    const warnings = warn.mock.calls.map(([text]) => String(text));
    expect(warnings).toEqual([expect.stringMatching(`^Redis at 127.0.0.1:${port} is away: .+503`)]);
    expect([...warnings, refused].join()).not.toContain('geheim');
  });

  it('tells at start-up that there is no server, and lets the next start try again', async () => {
    await server.stop();
    const store = new RedisSessionStore(`redis://default:geheim@127.0.0.1:${server.port}`);
    cleanUp.push(() => store.close());
    const failure = await store.onModuleInit().catch((error: Error) => error.message);
    expect(failure).toMatch(/Redis is away: .*ECONNREFUSED/);
    expect(failure).not.toContain('geheim');
    await server.start();
    await store.onModuleInit();
    await store.close();
    await expect(store.ping()).rejects.toThrow('The session store is closed.');
  });

  it.each([nodeRedis5, ioRedis6])('never closes a client that it was given: $name', async (kind) => {
    const connection = await kind.connect(server.url);
    cleanUp.push(connection.close);
    const store = new RedisSessionStore(connection.client);
    await store.ping();
    await store.close();
    expect(await connection.send('PING')).toBe('PONG');
  });
});

function isAway(client: RedisClient): boolean {
  return 'status' in client ? client.status !== 'ready' : !(client as { isReady?: boolean }).isReady;
}

async function isAnswered(store: RedisSessionStore): Promise<boolean> {
  return store.ping().then(
    () => true,
    () => false,
  );
}
