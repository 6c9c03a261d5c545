import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { RedisSessionStore } from 'nest-session/redis';
import { aChange, aRecord, FakeClock, newKey } from 'nest-session/testing';
import { RECORD_FORMAT } from 'nest-session';
import { clientKinds, nodeRedis5, type TestClient } from '../support/redis-clients.js';
import { describeWithServers, Monitor, TestServer, until } from '../support/redis-servers.js';

const PREFIX = 'shop*[1]:'; // signs that mean something to SCAN

describeWithServers('What RedisSessionStore does on one node', () => {
  let server: TestServer;
  let client: TestClient;
  let clock: FakeClock;
  let store: RedisSessionStore;
  let userId: string;
  let cleanUp: (() => Promise<void>)[] = [];
  const grace = () => clock.now() + 30_000;
  const indexOf = (user: string) => `${PREFIX}user:${createHash('sha1').update(user).digest('hex')}`;
  const sizeOf = (user: string) => server.send('ZCARD', indexOf(user));
  const created = async (parts?: Parameters<typeof aRecord>[0]) => {
    const key = newKey();
    expect(await store.create(key, aRecord(parts))).toBe(true);
    return key;
  };

  beforeAll(async () => {
    server = await TestServer.start();
    client = await nodeRedis5.connect(server.url);
  });
  afterAll(async () => {
    await client?.close();
    await server?.remove();
  });
  afterEach(async () => {
    await Promise.all(cleanUp.map((each) => each()));
    cleanUp = [];
  });
  beforeEach(() => {
    clock = new FakeClock();
    store = new RedisSessionStore(client.client, { prefix: PREFIX, clock });
    userId = `user ${newKey()}`;
  });

  describe.each(clientKinds)('by $name', (kind) => {
    it('needs one command for each of load, create, save, rename, touch and delete', async () => {
      const connection = await kind.connect(server.url);
      const other = new RedisSessionStore(connection.client, { prefix: PREFIX, clock });
      const monitor = await Monitor.start(server);
      cleanUp.push(connection.close, () => monitor.stop());
      const doAll = async () => {
        const [key, newer] = [newKey(), newKey()];
        const counts: Record<string, number> = {};
        const count = async (name: string, work: Promise<unknown>) => {
          expect(await work).toBeTruthy();
          counts[name] = (await monitor.take()).length;
        };
        await count('create', other.create(key, aRecord({ userId, values: { a: '1', b: '2' } })));
        await count('load', other.load(key));
        await count('save', other.save(key, aChange({ set: { a: '3' }, removed: ['b'] })));
        await count('touch', other.touch(key, aChange()));
        await count('rename', other.rename(key, newer, aChange({ set: { c: '4' } }), grace()));
        await count('delete', other.delete(newer, grace()));
        return counts;
      };
      await doAll(); // the server learns the scripts
      expect(await doAll()).toEqual({ create: 1, load: 1, save: 1, touch: 1, rename: 1, delete: 1 });
    });
  });

  it.each(clientKinds)('fails by $name with errors that show neither keys nor values', async (kind) => {
    const connection = await kind.connect(server.url);
    cleanUp.push(connection.close);
    const other = new RedisSessionStore(connection.client, { prefix: PREFIX, clock });
    const [key, secret] = [newKey(), 'a value that is nobody else’s'];
    await server.send('SET', PREFIX + key, 'something of another application');
    const change = aChange({ set: { secret } });
    const failures = [
      other.load(key),
      other.save(key, change),
      other.touch(key, change),
      other.rename(key, newKey(), change),
      other.atomic(key, 'secret', () => secret),
      other.delete(key),
    ];
    for (const failure of failures) {
      const error: unknown = await failure.catch((reason: unknown) => reason);
      expect(error).toMatchObject({ message: expect.stringContaining('WRONGTYPE') });
      expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(new RegExp(`${key}|${secret}`));
    }
    expect(await other.create(key, aRecord())).toBe(false);
    await other.count(); // it passes over what is no hash
    await server.send('DEL', PREFIX + key);
  });

  it('sends of a change only what changed, and neither KEYS nor a scan', async () => {
    const key = await created({ values: { large: 'x'.repeat(10_000), small: '1' } });
    const monitor = await Monitor.start(server);
    cleanUp.push(() => monitor.stop());
    await store.save(key, aChange({ set: { small: '2' } }));
    await store.count();
    const commands = await monitor.take();
    expect(commands.join()).not.toContain('xxx');
    expect(commands.filter((command) => /"keys"/i.test(command))).toEqual([]);
  });

  describe('the hash', () => {
    it('stays in the compact encoding with small values', async () => {
      const values = { views: '12', lang: '"en"', csrf: '"0123456789abcdef0123456789abcdef"' };
      const key = await created({ values, userId: '4711', policy: 'idle:1800000' });
      await store.save(key, aChange({ set: { views: '13' }, basedOn: 'idle:1800000' }));
      expect(await server.send('OBJECT', 'ENCODING', PREFIX + key)).toBe('listpack');
    });

    it('leaves by itself, a little after its deadline', async () => {
      const key = await created({ userId, expiresAt: clock.now() + 60_000 });
      const ttl = async (name: string) => Number(await server.send('PTTL', name));
      for (const name of [PREFIX + key, indexOf(userId)]) {
        expect(await ttl(name)).toBeGreaterThan(59_000);
        expect(await ttl(name)).toBeLessThanOrEqual(61_000);
      }
      await store.touch(key, aChange({ expiresAt: clock.now() + 600_000 }));
      for (const name of [PREFIX + key, indexOf(userId)]) expect(await ttl(name)).toBeGreaterThan(599_000);
      const soon = await created({ expiresAt: clock.now() + 50 });
      const isGone = async () => (await server.send('EXISTS', PREFIX + soon)) === 0;
      await until(isGone, 'Redis has dropped it');
    });

    it('keeps its time to live when the deadline is dropped', async () => {
      const key = await created({ policy: 'theirs', expiresAt: clock.now() + 60_000 });
      await store.save(key, aChange({ set: { a: '1' }, basedOn: 'mine', expiresAt: clock.now() + 600_000 }));
      expect(Number(await server.send('PTTL', PREFIX + key))).toBeLessThanOrEqual(61_000);
    });

    it('keeps a handle that is none of ours, in the tombstone too', async () => {
      const key = await created({ handle: 'a handle of somebody else’s' });
      await store.save(key, aChange({ set: { a: '1' } }));
      expect((await store.load(key))?.handle).toBe('a handle of somebody else’s');
      const newer = newKey();
      await store.rename(key, newer, aChange(), grace());
      expect((await store.load(key))?.handle).toBe('a handle of somebody else’s');
      expect((await store.load(newer))?.handle).toBe('a handle of somebody else’s');
    });

    it('takes thousands of values at once, and drops them at once', async () => {
      const values = Object.fromEntries(Array.from({ length: 9_001 }, (_, n) => [`v${n}`, String(n)]));
      const key = await created({ values });
      expect(Object.keys((await store.load(key))?.values ?? {})).toHaveLength(9_001);
      await store.save(key, aChange({ removed: Object.keys(values).slice(1) }));
      expect({ ...(await store.load(key))?.values }).toEqual({ v0: '0' });
      await store.save(key, aChange({ set: values }));
      await store.save(key, aChange({ cleared: true, set: { only: '1' } }));
      expect({ ...(await store.load(key))?.values }).toEqual({ only: '1' });
    });

    it('with a damaged value is an empty session, which the next save makes whole', async () => {
      const key = await created({ values: { a: '1' } });
      await server.send('HSET', PREFIX + key, ':b', '\u0001{"no text');
      expect(await store.load(key)).toMatchObject({ corrupt: true, values: {} });
      expect(await store.save(key, aChange({ cleared: true, set: { c: '1' } }))).toBe(true);
      const saved = await store.load(key);
      expect([saved?.corrupt, { ...saved?.values }]).toEqual([undefined, { c: '1' }]);
    });

    const rubbish = ['rubbish', '', '1.', `1.${'-'.repeat(58)}`, '1.short', `1.${'a'.repeat(70)}`];

    it.each(rubbish)('with a damaged meta field, “%s”, is an empty session of nobody', async (meta) => {
      const damaged = async () => {
        const key = await created({ userId, values: { a: '1' } });
        await server.send('HSET', PREFIX + key, 'm', meta);
        return key;
      };
      const key = await damaged();
      const before = await server.send('HGETALL', PREFIX + key);
      const loaded = await store.load(key);
      expect(loaded).toMatchObject({ corrupt: true, values: {}, policy: '', format: RECORD_FORMAT });
      expect(loaded).not.toHaveProperty('userId');
      expect((await store.load(key))?.handle).toBe(loaded?.handle);
      expect(key).not.toContain(loaded?.handle);
      expect(await server.send('HGETALL', PREFIX + key)).toEqual(before); // a read destroys nothing

      expect(await store.save(key, aChange({ cleared: true, set: { c: '1' } }))).toBe(true);
      const saved = await store.load(key);
      expect([saved?.corrupt, saved?.handle, { ...saved?.values }]).toEqual([
        undefined,
        loaded?.handle,
        { c: '1' },
      ]);
      expect(Number(await server.send('PTTL', PREFIX + key))).toBeGreaterThan(0);
      expect(await store.findByUser(userId)).toEqual([]);

      expect(await store.touch(await damaged(), aChange())).toBe(true);
      expect(await store.rename(await damaged(), newKey(), aChange())).toBe('renamed');
      expect(await store.atomic(await damaged(), 'n', () => '1')).toEqual({ text: '1' });
      const ended = await damaged();
      expect(await store.delete(ended)).toBe(true);
      expect(await store.load(ended)).toBeUndefined();
    });

    it('of a newer format is never overwritten, and its deadline is told', async () => {
      const record = aRecord({ format: RECORD_FORMAT + 1, userId, values: { a: '1' } });
      const [key, mine] = [newKey(), await created({ userId })];
      await store.create(key, record);
      const before = await server.send('HGETALL', PREFIX + key);
      const refused = { code: 'SESSION_FORMAT_NEWER', handle: record.handle, format: RECORD_FORMAT + 1 };
      await expect(store.save(key, aChange({ set: { a: '2' } }))).rejects.toMatchObject(refused);
      await expect(store.touch(key, aChange())).rejects.toMatchObject(refused);
      await expect(store.rename(key, newKey(), aChange())).rejects.toMatchObject(refused);
      await expect(store.atomic(key, 'a', () => '2')).rejects.toMatchObject(refused);
      await expect(store.delete(key)).rejects.toMatchObject(refused);
      await expect(store.deleteByUser(userId)).rejects.toMatchObject(refused);
      expect(await store.create(key, aRecord())).toBe(false);
      expect(await server.send('HGETALL', PREFIX + key)).toEqual(before);
      expect(await store.load(key)).toMatchObject({
        format: RECORD_FORMAT + 1,
        expiresAt: record.expiresAt,
        values: {},
      });
      expect(await store.load(mine)).toBeUndefined();
    });
  });

  describe('the index of a user', () => {
    it('has nothing left of 1,000 sessions that expired', async () => {
      const made = Array.from({ length: 1_000 }, () => created({ userId, expiresAt: clock.now() + 60_000 }));
      await Promise.all(made);
      expect(await sizeOf(userId)).toBe(1_000);
      clock.advance('61s');
      expect(await store.findByUser(userId)).toEqual([]);
      expect(await sizeOf(userId)).toBe(0);
    });

    it('drops what expired when the user’s next session is written', async () => {
      for (let n = 0; n < 5; n++) await created({ userId, expiresAt: clock.now() + 60_000 });
      clock.advance('61s');
      const key = await created({ userId });
      expect(await server.send('ZRANGE', indexOf(userId), '0', '-1')).toEqual([key]);
    });

    it('goes by itself after the last deadline', async () => {
      await created({ userId, expiresAt: clock.now() + 50 });
      const isGone = async () => (await server.send('EXISTS', indexOf(userId))) === 0;
      await until(isGone, 'Redis has dropped it');
    });

    it('follows a rename, a login, a delete and a session that ends', async () => {
      const [key, newer, newest] = [await created({ userId }), newKey(), newKey()];
      const members = (user: string) => server.send('ZRANGE', indexOf(user), '0', '-1');
      await store.rename(key, newer, aChange(), grace());
      expect(await members(userId)).toEqual([newer]);
      const authentication = { userId: `${userId} other`, absoluteExpiresAt: clock.now() + 9e9 };
      await store.rename(newer, newest, aChange({ authentication }), grace());
      expect([await members(userId), await members(`${userId} other`)]).toEqual([[], [newest]]);
      await store.delete(newest, grace());
      expect(await members(`${userId} other`)).toEqual([]);
      const ending = await created({ userId });
      await store.save(ending, aChange({ policy: 'end', expiresAt: clock.now() }));
      expect(await server.send('EXISTS', PREFIX + ending, indexOf(userId))).toBe(0);
    });

    it('names no living session too early, whatever moves its deadline', async () => {
      const key = await created({ userId, expiresAt: clock.now() + 1_000 });
      await store.save(key, aChange({ expiresAt: clock.now() + 60_000 }));
      await store.touch(key, aChange({ expiresAt: clock.now() + 120_000 }));
      clock.advance('100s');
      expect((await store.findByUser(userId)).map((session) => session.key)).toEqual([key]);
    });

    it('is repaired when it is read: what is dead, or another’s, leaves it', async () => {
      const key = await created({ userId });
      const others = await created({ userId: 'somebody else' });
      const score = String(clock.now() + 60_000);
      await server.send('ZADD', indexOf(userId), score, newKey(), score, others);
      expect((await store.findByUser(userId)).map((session) => session.key)).toEqual([key]);
      expect(await sizeOf(userId)).toBe(1);
    });

    it('is worked through a page at a time, so that others are not held up', async () => {
      await Promise.all(Array.from({ length: 350 }, () => created({ userId })));
      let [underWay, most] = [0, 0];
      const inner = client.client as unknown as { sendCommand(...args: unknown[]): Promise<unknown> };
      const counting = {
        isOpen: true,
        isReady: true,
        sendCommand: (...args: unknown[]) => {
          most = Math.max(most, ++underWay);
          return inner.sendCommand(...args).finally(() => underWay--);
        },
      };
      const counted = new RedisSessionStore(counting, { prefix: PREFIX, clock });
      expect(await counted.findByUser(userId)).toHaveLength(350);
      expect(await counted.deleteByUser(userId)).toBe(350);
      expect(most).toBeGreaterThan(1);
      expect(most).toBeLessThanOrEqual(101);
      expect(await sizeOf(userId)).toBe(0);
    });

    it('has nothing of a save, touch or rename after a delete', async () => {
      const key = await created({ userId });
      await store.delete(key);
      await store.save(key, aChange({ set: { a: '1' } }));
      await store.touch(key, aChange());
      await store.rename(key, newKey(), aChange(), grace());
      await store.atomic(key, 'a', () => '1');
      expect(await server.send('EXISTS', PREFIX + key, indexOf(userId))).toBe(0);
    });

    it('shows neither the user nor an id in its name', async () => {
      await created({ userId });
      expect(((await server.send('KEYS', '*')) as string[]).join()).not.toContain(userId);
    });
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

  it('counts its own sessions alone', async () => {
    const before = await store.count();
    const neighbour = new RedisSessionStore(client.client, { prefix: 'shop', clock }); // a part of our prefix
    await neighbour.create(newKey(), aRecord());
    await server.send('SET', `${PREFIX}something`, 'else');
    await created({ userId });
    expect(await store.count()).toBe(before + 1);
    expect(await neighbour.count()).toBe(1);
  });

  it('keeps a user with a lone surrogate', async () => {
    const key = await created({ userId: '\ud800 user' });
    expect((await store.findByUser('\ud800 user')).map((session) => session.key)).toEqual([key]);
    expect(await store.findByUser('\ufffd user')).toEqual([]);
    expect((await store.load(key))?.userId).toBe('\ud800 user');
  });
});
