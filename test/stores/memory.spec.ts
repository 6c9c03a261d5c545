import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { MemorySessionStore, type SessionRecord } from 'nest-session';
import { aChange, aRecord, describeSessionStore, FakeClock, newKey } from 'nest-session/testing';

describeSessionStore('MemorySessionStore', async ({ clock }) => new MemorySessionStore(clock));

describe('MemorySessionStore, when it meets an expired session', () => {
  it('lets it go, and tells of it once; of a tombstone never', async () => {
    const clock = new FakeClock();
    const store = new MemorySessionStore(clock);
    const told: unknown[] = [];
    store.onExpired = (record) => told.push(record);
    const [key, ended] = [newKey(), newKey()];
    const record = aRecord({ expiresAt: clock.now() + 1_000 });
    await store.create(key, record);
    await store.create(ended, aRecord());
    await store.delete(ended, clock.now() + 1_000);
    expect(await store.load(key)).toBe(record);
    clock.advance('1s');
    for (const each of [key, key, ended]) expect(await store.load(each)).toBeUndefined();
    expect(told).toEqual([record]);
  });
});

class SmallStore extends MemorySessionStore {
  protected override readonly maxRecords = 100;
}

describe('MemorySessionStore, when it is full', () => {
  it('lets expired sessions go, and keeps the living', async () => {
    const clock = new FakeClock();
    const store = new SmallStore(clock);
    const [expired, living] = [newKey(), newKey()];
    await store.create(living, aRecord());
    for (let n = 0; n < 99; n++) {
      await store.create(n === 0 ? expired : newKey(), aRecord({ expiresAt: clock.now() + 1 }));
    }
    clock.advance('1ms');
    await store.create(newKey(), aRecord());
    expect(await store.load(living)).toBeDefined();
    expect(await store.count()).toBe(2);
  });

  it('lets the ones created first go when nothing is expired', async () => {
    const store = new SmallStore(new FakeClock());
    const keys = Array.from({ length: 101 }, newKey);
    for (const key of keys) await store.create(key, aRecord());
    expect(await store.load(keys[0])).toBeUndefined();
    expect(await store.load(keys[100])).toBeDefined();
    expect(await store.count()).toBeLessThanOrEqual(100);
  });
});

describe('MemorySessionStore, asked for the sessions of a user', () => {
  /** A record that tells how often somebody asked whose it is. */
  const watched = (userId: string): { record: SessionRecord; looks: () => number } => {
    let looks = 0;
    const record = Object.defineProperty(aRecord(), 'userId', {
      enumerable: true,
      get: () => {
        looks++;
        return userId;
      },
    });
    return { record, looks: () => looks };
  };

  it.each(['findByUser', 'deleteByUser'] as const)('looks at no others (%s)', async (method) => {
    const store = new MemorySessionStore();
    const { record, looks } = watched('8');
    await store.create(newKey(), record);
    await store.create(newKey(), aRecord({ userId: '7' }));
    const before = looks();
    await store[method]('7');
    expect(looks()).toBe(before);
    expect(await store.findByUser('8')).toHaveLength(1);
  });

  it('knows them through every change of hands, and forgets them when the store is full', async () => {
    const clock = new FakeClock();
    const store = new SmallStore(clock);
    const usersOf = async (...ids: string[]) =>
      Promise.all(ids.map(async (id) => (await store.findByUser(id)).length));
    const [key, newer] = [newKey(), newKey()];
    const login = (userId: string) =>
      aChange({ authentication: { userId, absoluteExpiresAt: aRecord().absoluteExpiresAt } });
    await store.create(key, aRecord());
    await store.save(key, login('7'));
    expect(await usersOf('7', '8')).toEqual([1, 0]);
    await store.rename(key, newer, login('8'), clock.now() + 30_000);
    expect(await usersOf('7', '8')).toEqual([0, 1]);
    await store.delete(newer, clock.now() + 30_000);
    expect(await usersOf('7', '8')).toEqual([0, 0]);
    const first = newKey();
    await store.create(first, aRecord({ userId: '9' }));
    for (let n = 0; n < 200; n++) await store.create(newKey(), aRecord());
    expect(await store.load(first)).toBeUndefined();
    expect(await usersOf('9')).toEqual([0]);
  });
});

describe('MemorySessionStore, where an application starts', () => {
  const { NODE_ENV } = process.env;
  afterEach(() => {
    process.env.NODE_ENV = NODE_ENV;
    jest.restoreAllMocks();
  });

  it.each([
    ['production', 1],
    ['development', 0],
  ])('in %s warns %d times', (environment, times) => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    process.env.NODE_ENV = environment;
    new MemorySessionStore().onModuleInit();
    expect(warn).toHaveBeenCalledTimes(times);
    if (times > 0) expect(warn.mock.calls[0][0]).toContain('a restart logs everybody out');
  });
});
