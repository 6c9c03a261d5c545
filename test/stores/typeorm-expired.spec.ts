import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { RECORD_FORMAT, type SessionRecord } from 'nest-session';
import { aRecord, FakeClock, newKey } from 'nest-session/testing';
import { type SessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource } from 'typeorm';
import { SessionTable } from '../../lib/stores/typeorm/session-table.js';
import { describeDatabases, type TestDatabase } from '../support/databases.js';
import { withResolvers } from '../support/laws.js';

/** Each waits a second at most, which a busy machine may not keep up with. */
async function settled(store: TypeOrmSessionStore): Promise<void> {
  for (let second = 0; second < 10; second++) await store.close();
}

await describeDatabases('An expired row that load meets', ({ entity, create }) => {
  let database: TestDatabase;
  let pool: DataSource;
  let clock: FakeClock;
  let store: TypeOrmSessionStore;
  let told: SessionRecord[];

  beforeAll(async () => {
    database = await create();
    pool = await new DataSource({ ...database.options, entities: [entity], synchronize: true }).initialize();
  });
  afterAll(async () => {
    if (pool.isInitialized) await pool.destroy();
    await database.drop();
  });
  beforeEach(() => {
    told = [];
    clock = new FakeClock();
    store = new TypeOrmSessionStore(pool, { entity }, clock);
    store.onExpired = (record) => void told.push(record);
  });

  const rows = () => pool.getRepository<SessionEntity>(entity);
  const expired = async (parts: Partial<SessionRecord> = {}) => {
    const key = newKey();
    await store.create(key, aRecord({ expiresAt: clock.now() + 1_000, userId: '7', ...parts }));
    clock.advance('1s');
    return key;
  };
  const isThere = async (key: string) => (await rows().countBy({ key })) > 0;

  it('is deleted behind the answer, and told of once, however many met it', async () => {
    const key = await expired({ handle: 'a'.repeat(32) });
    const another = new TypeOrmSessionStore(pool, { entity }, clock);
    another.onExpired = store.onExpired;
    const met = await Promise.all([store, another, store, another].map((each) => each.load(key)));
    expect(met).toEqual(Array(4).fill(undefined));
    await Promise.all([settled(store), settled(another)]);
    expect(await isThere(key)).toBe(false);
    expect(told).toEqual([expect.objectContaining({ handle: 'a'.repeat(32), userId: '7' })]);
  });

  it('keeps no request waiting', async () => {
    const key = await expired();
    const deletion = withResolvers<number>();
    const remove = jest.spyOn(SessionTable.prototype, 'delete').mockReturnValue(deletion.promise);
    expect(await store.load(key)).toBeUndefined();
    expect([await store.load(key), told]).toEqual([undefined, []]); // one deletion is under way, that is enough
    deletion.resolve(1);
    await settled(store);
    expect(remove).toHaveBeenCalledTimes(1);
    expect(told).toHaveLength(1);
    remove.mockRestore();
  });

  it('is deleted too when it is a tombstone, which nobody is told of', async () => {
    const key = newKey();
    await store.create(key, aRecord());
    await store.delete(key, clock.now() + 1_000);
    clock.advance('1s');
    expect(await store.load(key)).toBeUndefined();
    await settled(store);
    expect([await isThere(key), told]).toEqual([false, []]);
  });

  it('stays when its format is newer', async () => {
    const key = await expired();
    await rows().update({ key }, { format: RECORD_FORMAT + 1 });
    expect(await store.load(key)).toBeUndefined();
    await settled(store);
    expect([await isThere(key), told]).toEqual([true, []]);
  });

  it.each([
    ['it has a later deadline by then', () => ({ expiresAt: clock.now() + 1 })],
    ['a newer release has written it by then', () => ({ format: RECORD_FORMAT + 1 })],
  ])('stays when %s', async (_, change) => {
    const key = await expired();
    const original = SessionTable.prototype.delete;
    const held = withResolvers<void>();
    const remove = jest.spyOn(SessionTable.prototype, 'delete').mockImplementation(async function (
      this: SessionTable,
      where,
    ) {
      await held.promise;
      return original.call(this, where);
    });
    expect(await store.load(key)).toBeUndefined();
    await rows().update({ key }, change());
    held.resolve();
    await settled(store);
    expect(remove).toHaveBeenCalledTimes(1);
    remove.mockRestore();
    expect([await isThere(key), told]).toEqual([true, []]);
  });

  it('is not met by the old id of a session that lives', async () => {
    const [key, newer] = [newKey(), newKey()];
    await store.create(key, aRecord());
    const change = { set: {}, removed: [], lastSeenAt: 0, expiresAt: clock.now() + 60_000, basedOn: '' };
    await store.rename(key, newer, change, clock.now() + 1_000);
    clock.advance('1s');
    expect(await store.load(key)).toBeUndefined();
    await settled(store);
    expect(await store.load(newer)).toBeDefined();
  });

  it('is warned of once when it can not be deleted, and no request fails', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const keys = [await expired(), await expired()];
    const failure = new Error(`Failed query with '${keys[0]}'`);
    const failing = jest.spyOn(SessionTable.prototype, 'delete').mockRejectedValue(failure);
    for (const key of keys) expect(await store.load(key)).toBeUndefined();
    await settled(store);
    failing.mockRestore();
    const warnings = warn.mock.calls.map(([text]) => String(text));
    warn.mockRestore();
    expect(warnings).toEqual([expect.stringContaining('could not be deleted')]);
    expect(warnings[0]).not.toContain(keys[0]);
    expect(await isThere(keys[0])).toBe(true);
  });

  it('holds no shutdown up for long', async () => {
    const key = await expired();
    const hanging = jest
      .spyOn(SessionTable.prototype, 'delete')
      .mockReturnValue(new Promise<number>(() => undefined));
    expect(await store.load(key)).toBeUndefined();
    await store.close(); // it comes back
    expect(hanging).toHaveBeenCalledTimes(1);
    hanging.mockRestore();
  });
});
