import { RedisSessionStore } from 'nest-session/redis';
import { aChange, aRecord, FakeClock, newKey } from 'nest-session/testing';
import { RedisSessions } from '../../lib/stores/redis/redis-sessions.js';
import { nodeRedis6, type TestClient } from '../support/redis-clients.js';
import { describeWithServers, TestCluster } from '../support/redis-servers.js';

const STEPS = ['mark', 'copy', 'track', 'finish', 'untrack'] as const;
type Step = (typeof STEPS)[number];

/** A process that dies in the middle of a rename: from then on it sends nothing. */
class DyingProcess extends RedisSessions {
  /** @param when before the step's command is sent, or after it was done and before its answer is heard */
  dieAt(step: Step, when: 'before' | 'after'): this {
    const original = this[step].bind(this) as (...args: unknown[]) => Promise<never>;
    const die = () => Promise.reject(new Error('killed'));
    const diesHere = async (...args: unknown[]) => {
      if (when === 'after') await original(...args);
      Object.assign(this, { block: die, revive: die });
      return die();
    };
    return Object.assign(this, { [step]: diesHere });
  }

  /** Goes on only when it is told to. */
  sleepBefore(step: Step): { asleep: Promise<void>; wake: () => void } {
    const original = this[step].bind(this) as (...args: unknown[]) => Promise<never>;
    let [fallAsleep, wake] = [() => {}, () => {}];
    const asleep = new Promise<void>((resolve) => (fallAsleep = resolve));
    const awake = new Promise<void>((resolve) => (wake = resolve));
    const sleepsHere = async (...args: unknown[]) => {
      fallAsleep();
      await awake;
      return original(...args);
    };
    Object.assign(this, { [step]: sleepsHere });
    return { asleep, wake: () => wake() };
  }
}

const DEATHS = STEPS.flatMap((step) => (['before', 'after'] as const).map((when) => [when, step] as const));

describeWithServers('A rename in a cluster', () => {
  let cluster: TestCluster;
  let client: TestClient;
  let clock: FakeClock;
  let store: RedisSessionStore;
  let dying: DyingProcess;
  let [key, newer, userId] = ['', '', ''];
  const login = () =>
    aChange({ set: { step: '2' }, authentication: { userId, absoluteExpiresAt: clock.now() + 9e9 } });
  const rename = () => dying.rename(key, newer, login(), clock.now() + 30_000);
  /** The old key first, for it is the one that a browser has. */
  const livingKeys = async () => {
    const living: string[] = [];
    for (const each of [key, newer]) {
      const record = await store.load(each);
      if (record && !record.gone) living.push(each);
    }
    return living;
  };
  const keysOf = async (user: string) => (await store.findByUser(user)).map((session) => session.key);

  beforeAll(async () => {
    cluster = await TestCluster.start();
    client = await nodeRedis6.connectCluster(cluster.ports);
  }, 30_000);
  afterAll(async () => {
    await client?.close();
    await cluster?.remove();
  });
  beforeEach(async () => {
    clock = new FakeClock();
    store = new RedisSessionStore(client.client, { clock });
    dying = new DyingProcess(client.client, 'session:', clock);
    [key, newer, userId] = [newKey(), newKey(), `user ${newKey()}`];
    await store.create(key, aRecord({ values: { cart: '["tea"]' }, userId: `${userId} before` }));
    await store.save(key, aChange({ set: { saved: '1' } }));
  });

  describe.each(DEATHS)('when the process dies %s the step "%s"', (when, step) => {
    const isDone = STEPS.indexOf(step) + (when === 'after' ? 1 : 0) > STEPS.indexOf('finish');
    const hasBegun = !(step === 'mark' && when === 'before');
    beforeEach(async () => {
      const outcome = dying.dieAt(step, when) && rename();
      if (step === 'untrack')
        expect(await outcome).toBe('renamed'); // that the index is not yet in step is no failure
      else await expect(outcome).rejects.toThrow('killed');
    });

    if (hasBegun) {
      it('lets nobody in with the old id, and nobody write', async () => {
        expect(await store.load(key)).toMatchObject({ gone: 'renamed', values: {} });
        expect(await store.save(key, aChange({ set: { late: '1' } }))).toBe(false);
        expect(await store.touch(key, aChange())).toBe(false);
        expect(await store.atomic(key, 'cart', () => '1')).toBeUndefined();
        expect(await store.rename(key, newKey(), aChange())).toBe('gone');
        expect(await store.delete(key)).toBe(false);
        expect(await store.create(key, aRecord())).toBe(false);
      });
    }

    it('loses nothing: half a minute later there is one session, whole, and its index names it', async () => {
      clock.advance('31s');
      const [living, ...more] = await livingKeys();
      expect(more).toEqual([]);
      expect(living).toBe(isDone ? newer : key);
      const values = { cart: '["tea"]', saved: '1', ...(isDone && { step: '2' }) };
      expect({ ...(await store.load(living))?.values }).toEqual(values);
      expect(await keysOf(`${userId} before`)).toEqual(isDone ? [] : [key]);
      expect(await keysOf(userId)).toEqual(isDone ? [newer] : []);
      expect(await store.save(living, aChange({ set: { later: '1' } }))).toBe(true);
    });

    it('brings nothing back when the user’s sessions have been ended meanwhile', async () => {
      await store.deleteByUser(`${userId} before`);
      await store.deleteByUser(userId);
      expect(await livingKeys()).toEqual([]);
      clock.advance('31s');
      expect(await livingKeys()).toEqual([]);
    });
  });

  it.each(['copy', 'track', 'finish'] as const)(
    'lets a process that was only slow, before the step "%s", bring no second session',
    async (step) => {
      const { asleep, wake } = dying.sleepBefore(step);
      const renamed = rename();
      await asleep;
      clock.advance('31s');
      expect(await livingKeys()).toEqual([key]); // given up by whoever loads it
      wake();
      expect(await renamed).toBe('gone');
      expect(await livingKeys()).toEqual([key]);
      expect(await keysOf(userId)).toEqual([]);
    },
  );

  it.each(['copy', 'track', 'finish'] as const)(
    'lets no session out that is ended from outside just before the step "%s"',
    async (step) => {
      const { asleep, wake } = dying.sleepBefore(step);
      const renamed = rename();
      await asleep;
      expect(await store.deleteByUser(`${userId} before`, { tombstoneUntil: clock.now() + 30_000 })).toBe(1);
      wake();
      expect(await renamed).toBe('gone');
      expect((await store.load(key))?.gone).toBe('ended');
      expect(await livingKeys()).toEqual([]);
      expect([...(await keysOf(userId)), ...(await keysOf(`${userId} before`))]).toEqual([]);
    },
  );

  it('creates no session that the index of its user does not name', async () => {
    dying.track = () => Promise.reject(new Error('CLUSTERDOWN'));
    await expect(dying.create(newer, aRecord({ userId }))).rejects.toThrow('CLUSTERDOWN');
    expect(await store.load(newer)).toBeUndefined();
  });

  it('is undone at once when the server of the new key fails', async () => {
    dying.copy = () => Promise.reject(new Error('CLUSTERDOWN'));
    await expect(rename()).rejects.toThrow('CLUSTERDOWN');
    expect(await livingKeys()).toEqual([key]);
    expect({ ...(await store.load(key))?.values }).toEqual({ cart: '["tea"]', saved: '1' });
  });
});
