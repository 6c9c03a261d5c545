import { RECORD_FORMAT } from 'nest-session';
import { aChange, aRecord, FakeClock, newKey } from 'nest-session/testing';
import { type SessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { describeDatabases, type TestDatabase } from '../support/databases.js';

await describeDatabases('deleteExpired', ({ entity, name, create }) => {
  let database: TestDatabase;
  let pools: DataSource[];
  let clock: FakeClock;
  let stores: TypeOrmSessionStore[];
  let store: TypeOrmSessionStore;

  beforeAll(async () => {
    database = await create();
    const options = { ...database.options, entities: [entity] };
    pools = [
      new DataSource({ ...options, ...oneConnection() } as DataSourceOptions),
      new DataSource(options),
    ];
    for (const pool of pools) await pool.initialize();
    await pools[0].synchronize();
  });
  afterAll(async () => {
    for (const pool of pools) if (pool.isInitialized) await pool.destroy();
    await database.drop();
  });
  beforeEach(async () => {
    clock = new FakeClock();
    stores = pools.map((pool) => new TypeOrmSessionStore(pool, { entity }, clock));
    [store] = stores;
    await rows().clear();
  });

  const oneConnection = () => (name === 'SQLite' ? {} : { poolSize: 1 });
  const rows = () => pools[0].getRepository<SessionEntity>(entity);
  const created = async (parts?: Parameters<typeof aRecord>[0]): Promise<string> => {
    const key = newKey();
    expect(await store.create(key, aRecord(parts))).toBe(true);
    return key;
  };

  /** Many rows at once; `expiresAt` by number. */
  const fill = async (count: number, expiresAt: (number: number) => number): Promise<void> => {
    const row = (number: number) => {
      const { values: _, ...record } = aRecord({ expiresAt: expiresAt(number) });
      const key = newKey();
      return { ...record, key, previousKey: key, data: '{}', version: 1 };
    };
    for (let done = 0; done < count; done += 500) {
      const some = Array.from({ length: Math.min(500, count - done) }, (_, index) => row(done + index));
      await rows().insert(some);
    }
  };

  it('deletes the oldest first', async () => {
    await fill(10, (number) => clock.now() - 10 + ((number * 7) % 10));
    const stop = new AbortController();
    expect(
      await store.deleteExpired({ batchSize: 4, signal: stop.signal, onProgress: () => stop.abort() }),
    ).toBe(4);
    const left = (await rows().find()).map(({ expiresAt }) => expiresAt - clock.now()).sort((a, b) => a - b);
    expect(left).toEqual([-6, -5, -4, -3, -2, -1]);
  });

  it('deletes more sessions of one deadline than fit into a batch', async () => {
    await fill(25, () => clock.now());
    expect(await store.deleteExpired({ batchSize: 10 })).toBe(25);
    expect(await rows().count()).toBe(0);
  });

  it('passes over what a newer release wrote, whatever there is before and after it', async () => {
    await fill(30, (number) => clock.now() - number);
    for (const expiresAt of [0, 5, 6, 7, 29].map((ago) => clock.now() - ago))
      await rows().update({ expiresAt }, { format: RECORD_FORMAT + 1 });
    expect(await store.deleteExpired({ batchSize: 3 })).toBe(25);
    expect(await rows().count()).toBe(5);
    expect(await store.deleteExpired({ batchSize: 3 })).toBe(0);
  });

  it('counts sessions and no tombstones, though both leave', async () => {
    for (let n = 0; n < 3; n++) {
      await created({ expiresAt: clock.now() - n });
      const soon = clock.now() + 1 + n;
      await store.delete(await created({ expiresAt: soon }), soon);
      await store.rename(await created({ expiresAt: soon }), newKey(), aChange({ expiresAt: soon }), soon);
    }
    clock.advance('10ms');
    const progress: number[] = [];
    const onProgress = (deleted: number) => progress.push(deleted);
    expect(await store.deleteExpired({ batchSize: 4, onProgress })).toBe(6);
    expect(progress.at(-1)).toBe(6);
    expect(await rows().count()).toBe(0);
  });

  it('leaves to the next time what ends while it works', async () => {
    await fill(4, (number) => clock.now() - 1 + number);
    const onProgress = () => clock.advance('10ms');
    expect(await store.deleteExpired({ batchSize: 1, onProgress })).toBe(2);
    expect(await store.deleteExpired()).toBe(2);
  });

  it('gives each session to one of several cleaners', async () => {
    await fill(300, (number) => clock.now() - (number % 20));
    const counts = await Promise.all(
      [...stores, ...stores].map((each) => each.deleteExpired({ batchSize: 20 })),
    );
    expect(counts.reduce((sum, count) => sum + count)).toBe(300);
    expect(await rows().count()).toBe(0);
  });

  it('keeps nothing in its way: an application that pauses it is not stopped by it', async () => {
    await fill(20, () => clock.now());
    const living = await created({ expiresAt: clock.now() + 60_000 });
    const onProgress = async () => {
      // With the pool's only connection, between two batches.
      expect(await store.save(living, aChange({ set: { a: '1' } }))).toBe(true);
      expect(await store.load(living)).toBeDefined();
    };
    expect(await store.deleteExpired({ batchSize: 10, onProgress })).toBe(20);
  });

  if (name === 'SQLite') {
    it('leaves the event loop to others, and the database to other processes, between two batches', async () => {
      await fill(400, () => clock.now());
      let turns = 0;
      const counting = setInterval(() => turns++, 1);
      const batches: number[] = [];
      await store.deleteExpired({ batchSize: 100, onProgress: () => batches.push(turns) });
      clearInterval(counting);
      expect(batches.length).toBeGreaterThan(3);
      for (let n = 1; n < batches.length; n++) expect(batches[n] - batches[n - 1]).toBeGreaterThan(1);
    });
  }
});
