import { aChange, aRecord, FakeClock, newKey } from 'nest-session/testing';
import { SessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource, DefaultNamingStrategy, Entity, type DataSourceOptions, type QueryRunner } from 'typeorm';
import { databases, type TestDatabase } from '../support/databases.js';
import { StatementLog } from '../support/statement-log.js';

const postgres = databases.find(({ name }) => name === 'PostgreSQL')!;

const codeOf = (error: unknown) => (error as { code?: string }).code;

((await postgres.available()) ? describe : describe.skip)('deleteExpired, as only PostgreSQL does it', () => {
  let database: TestDatabase;
  let pool: DataSource;
  let clock: FakeClock;
  let store: TypeOrmSessionStore;

  beforeAll(async () => {
    database = await postgres.create();
    pool = await new DataSource({ ...database.options, entities: [SessionEntity] }).initialize();
    await pool.synchronize();
  });
  afterAll(async () => {
    await pool.destroy();
    await database.drop();
  });
  beforeEach(async () => {
    clock = new FakeClock();
    store = new TypeOrmSessionStore(pool, { entity: SessionEntity }, clock);
    await pool.query('TRUNCATE session');
  });

  /** Rows whose place says nothing about their deadline; of each four, one is over. */
  const fill = async (count: number, table = 'session'): Promise<void> => {
    await pool.query(
      `INSERT INTO ${table} (handle, key, "previousKey", data, version, format, policy,
         "createdAt", "lastSeenAt", "expiresAt", "absoluteExpiresAt")
       SELECT md5(n::text), encode(sha256(n::text::bytea), 'hex'), encode(sha256(n::text::bytea), 'hex'),
         '{}', 1, 1, '', 0, 0, $1::bigint + CASE WHEN n % 4 = 0 THEN - (n * 7919 % $2) ELSE 1 + n END, $1::bigint + 1e9
       FROM generate_series(1, $2) AS n`,
      [clock.now(), count],
    );
  };

  /** How many rows were read by scans of the table's indexes until now. */
  const readByIndex = async (): Promise<number> => {
    await pool.query('SELECT pg_stat_force_next_flush()');
    const [{ read }] = await pool.query<[{ read: string }]>(
      "SELECT sum(idx_tup_read) AS read FROM pg_stat_user_indexes WHERE relname = 'session'",
    );
    return Number(read);
  };

  /** A store on one connection of its own, of which every statement is written down. */
  const open = async () => {
    const options = { ...database.options, entities: [SessionEntity], poolSize: 1 } as DataSourceOptions;
    const ownPool = await new DataSource(options).initialize();
    const log = new StatementLog(ownPool);
    return Object.assign(log, {
      pool: ownPool,
      store: new TypeOrmSessionStore(ownPool, { entity: SessionEntity }, clock),
    });
  };

  const inTransaction = async <T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> => {
    const runner = pool.createQueryRunner();
    await runner.startTransaction();
    try {
      return await work(runner);
    } finally {
      if (runner.isTransactionActive) await runner.rollbackTransaction();
      await runner.release();
    }
  };

  it('begins with the earliest deadlines and, where many are over, passes over the pages', async () => {
    await fill(8_000);
    const before = await readByIndex();
    expect(await store.deleteExpired({ batchSize: 100 })).toBe(2_000);
    expect(await store.count()).toBe(6_000);
    expect((await readByIndex()) - before).toBeLessThan(1_000);
  });

  it('stays with the index where few of many are over', async () => {
    await fill(4_000);
    await store.deleteExpired();
    await pool.query('VACUUM session');
    for (let n = 0; n < 5; n++) await store.create(newKey(), aRecord({ expiresAt: clock.now() - n }));
    const watched = await open();
    expect(await watched.store.deleteExpired({ batchSize: 2 })).toBe(5);
    expect(watched.statements.filter((text) => text.includes('ORDER BY "expiresAt"'))).toHaveLength(3);
    expect(watched.statements.filter((text) => text.includes('ctid'))).toEqual([]);
    await watched.pool.destroy();
  });

  it('reads few entries of the index more than once, though no statistics tell how many are over', async () => {
    await fill(12_000);
    const before = await readByIndex();
    expect(await store.deleteExpired({ batchSize: 10 })).toBe(3_000);
    expect((await readByIndex()) - before).toBeLessThan(2 * 3_000);
  });

  it.each([
    ['by deadline', 1],
    ['by page', 400],
  ])('leaves a session alone that a request is just keeping alive: %s', async (_, others) => {
    await fill(4 * others);
    const key = newKey();
    await store.create(key, aRecord({ expiresAt: clock.now() + 1 }));
    clock.advance('1s');
    await inTransaction(async (request) => {
      await request.query('UPDATE session SET "expiresAt" = $1 WHERE key = $2', [clock.now() + 60_000, key]);
      await store.deleteExpired({ batchSize: 10 });
      await request.commitTransaction();
    });
    expect(await store.load(key)).toBeDefined();
    await store.deleteExpired({ batchSize: 10 });
    expect(await store.load(key)).toBeDefined();
  });

  it('does not wait in one statement for long, and ends its work all the same', async () => {
    await fill(400);
    const watched = await open();
    const cleaned = await inTransaction(async (runner) => {
      await runner.query('LOCK TABLE session IN EXCLUSIVE MODE');
      const cleaning = watched.store.deleteExpired();
      await watched.failed(2);
      await runner.commitTransaction();
      return await cleaning;
    });
    expect(cleaned).toBe(100);
    expect(watched.failures.map(codeOf)).toEqual(['57014', '57014']);
    await watched.pool.destroy();
  });

  it('clears a table in partitions by the index alone', async () => {
    @Entity('parted')
    class Parted extends SessionEntity {}
    const parts = await new DataSource({ ...database.options, entities: [Parted] }).initialize();
    await parts.query('CREATE TABLE parted (LIKE session INCLUDING DEFAULTS) PARTITION BY HASH (handle)');
    for (let n = 0; n < 3; n++)
      await parts.query(
        `CREATE TABLE parted_${n} PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER ${n})`,
      );
    await parts.query('CREATE INDEX ON parted ("expiresAt")');
    await parts.query('ALTER TABLE parted ADD PRIMARY KEY (handle)');
    await fill(2_000, 'parted');
    const visits = new TypeOrmSessionStore(parts, { entity: Parted }, clock);
    expect(await visits.deleteExpired({ batchSize: 50 })).toBe(500);
    expect(await visits.count()).toBe(1_500);
    await parts.destroy();
  });

  it('deletes nobody from a table that inherits from it and has other rows in the same places', async () => {
    await pool.query('CREATE TABLE heir (PRIMARY KEY (handle)) INHERITS (session)');
    await fill(400);
    await pool.query('INSERT INTO heir SELECT * FROM ONLY session WHERE "expiresAt" > $1', [clock.now()]);
    expect(await store.deleteExpired({ batchSize: 10 })).toBe(100);
    const [{ living }] = await pool.query<[{ living: string }]>('SELECT count(*) AS living FROM heir');
    expect(Number(living)).toBe(300);
    await pool.query('DROP TABLE heir');
  });

  it('finds a table in a schema, with columns of other names', async () => {
    @Entity('visit', { schema: 'web' })
    class Visit extends SessionEntity {}
    class ShortNames extends DefaultNamingStrategy {
      override columnName(property: string): string {
        return `c_${property}`;
      }
    }
    const options = { ...database.options, entities: [Visit], namingStrategy: new ShortNames() };
    const visitPool = await new DataSource(options).initialize();
    await visitPool.query('CREATE SCHEMA web');
    await visitPool.synchronize();
    const visits = new TypeOrmSessionStore(visitPool, { entity: Visit }, clock);
    for (let n = 0; n < 30; n++) await visits.create(newKey(), aRecord({ expiresAt: clock.now() }));
    await visits.create(newKey(), aRecord({ expiresAt: clock.now() + 60_000 }));
    expect(await visits.deleteExpired({ batchSize: 10 })).toBe(30);
    expect(await visits.count()).toBe(1);
    await visitPool.destroy();
  });

  it('changes no setting of the connection', async () => {
    await fill(400);
    const watched = await open(); // with one connection
    expect(await watched.store.deleteExpired({ batchSize: 10 })).toBe(100);
    const changed: unknown = await watched.pool.query(
      "SELECT name FROM pg_settings WHERE (name LIKE 'enable_%' OR name = 'statement_timeout') AND setting <> reset_val",
    );
    expect(changed).toEqual([]);
    await watched.pool.destroy();
  });

  it('keeps a change of a request that came between two batches', async () => {
    await fill(400);
    const key = newKey();
    await store.create(key, aRecord({ expiresAt: clock.now() + 60_000 }));
    const onProgress = async () => {
      expect(await store.save(key, aChange({ set: { a: '1' } }))).toBe(true);
    };
    expect(await store.deleteExpired({ batchSize: 10, onProgress })).toBe(100);
    expect((await store.load(key))?.values).toMatchObject({ a: '1' });
  });
});
