import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCache } from 'cache-manager';
import { FileSessionStore, MemorySessionStore, type SessionRecord, type SessionStore } from 'nest-session';
import { CachedSessionStore } from 'nest-session/cache';
import { aRecord, FakeClock, newKey } from 'nest-session/testing';

describe.each(['memory', 'file', 'cached memory'] as const)('a %s store', (kind) => {
  let clock: FakeClock;
  let directory: string;
  let store: SessionStore;

  beforeEach(async () => {
    clock = new FakeClock();
    directory = await mkdtemp(join(tmpdir(), 'nest-session-'));
    store = {
      memory: () => new MemorySessionStore(clock),
      file: () => new FileSessionStore({ directory }, clock),
      'cached memory': () => {
        const base = async () => new MemorySessionStore(clock);
        return new CachedSessionStore(base, createCache(), { singleProcess: true }, clock);
      },
    }[kind]();
  });
  afterEach(async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('tells once of an expired session that a load met, and of no living one and no tombstone', async () => {
    const told: SessionRecord[] = [];
    store.onExpired = (record) => told.push(record);
    const [expired, living, ended] = [newKey(), newKey(), newKey()];
    const record = aRecord({ userId: '7', expiresAt: clock.now() + 1_000 });
    await store.create(expired, record);
    await store.create(living, aRecord());
    await store.create(ended, aRecord());
    await store.delete(ended, clock.now() + 1_000);
    clock.advance('1s');
    for (const key of [expired, expired, living, ended]) await store.load(key);
    expect(told.map(({ handle, userId }) => [handle, userId])).toEqual([[record.handle, '7']]);
  });
});
