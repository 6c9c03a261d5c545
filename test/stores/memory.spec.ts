import { MemorySessionStore } from 'nest-session';
import { aRecord, describeSessionStore, FakeClock, newKey } from 'nest-session/testing';

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
