import { type SessionStore } from 'nest-session';
import { aChange, aRecord, FakeClock, newKey } from 'nest-session/testing';
import { type SessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource, type DataSourceOptions, type EntitySubscriberInterface, type Logger } from 'typeorm';
import {
  addTransactionalDataSource,
  initializeTransactionalContext,
  runInTransaction,
  StorageDriver,
} from 'typeorm-transactional';
import { describeDatabases, type TestDatabase } from '../support/databases.js';

initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE });

const VALUE = 'a value that nobody may read';

/** What an application's logger was told, as text. */
class LogOfTheApplication implements Logger {
  readonly lines: string[] = [];
  readonly #note = (...told: unknown[]) =>
    void this.lines.push(
      told.map((each) => (each instanceof Error ? String(each) : JSON.stringify(each))).join(),
    );
  logQuery = (query: string, parameters?: unknown[]) => this.#note(query, parameters);
  logQueryError = (error: string | Error, query: string, parameters?: unknown[]) =>
    this.#note(error, query, parameters);
  logQuerySlow = (time: number, query: string, parameters?: unknown[]) => this.#note(time, query, parameters);
  logSchemaBuild = (message: string) => this.#note(message);
  logMigration = (message: string) => this.#note(message);
  log = (_: string, message: unknown) => this.#note(message);
}

await describeDatabases('the session table beside what an application has', ({ entity, name, create }) => {
  const isSqlite = name === 'SQLite';
  let database: TestDatabase;
  const cleanUp: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    database = await create();
    cleanUp.push(database.drop);
  });
  afterEach(async () => {
    for (const clean of cleanUp.splice(0).reverse()) await clean();
  });

  const connect = async (
    options: Partial<DataSourceOptions> = {},
    prepare: (dataSource: DataSource) => DataSource = (dataSource) => dataSource,
  ): Promise<{ dataSource: DataSource; store: SessionStore; clock: FakeClock }> => {
    const all = { ...database.options, entities: [entity], synchronize: true, ...options };
    const dataSource = await prepare(new DataSource(all as DataSourceOptions)).initialize();
    cleanUp.push(async () => {
      if (dataSource.isInitialized) await dataSource.destroy();
    });
    const clock = new FakeClock();
    return { dataSource, clock, store: new TypeOrmSessionStore(dataSource, { entity }, clock) };
  };

  /** Each command once, and what it must find of those before it. */
  const useAll = async (store: SessionStore, clock: FakeClock): Promise<void> => {
    const [key, newer, userId] = [newKey(), newKey(), `user ${newKey()}`];
    const grace = clock.now() + 30_000;
    expect(await store.load(key)).toBeUndefined();
    expect(await store.findByUser(userId)).toEqual([]);
    expect(await store.create(key, aRecord({ userId, values: { a: JSON.stringify(VALUE) } }))).toBe(true);
    expect(await store.create(key, aRecord())).toBe(false);
    expect(await store.findByUser(userId)).toHaveLength(1);
    const loaded = await store.load(key);
    expect(await store.save(key, aChange({ set: { b: '2' } }), loaded)).toBe(true);
    expect(await store.save(key, aChange({ set: { c: '3' } }), loaded)).toBe(true);
    expect(Object.keys((await store.load(key))!.values)).toEqual(['a', 'b', 'c']);
    expect(await store.atomic(key, 'n', (text) => String(Number(text ?? 0) + 1))).toEqual({ text: '1' });
    expect(await store.touch(key, aChange())).toBe(true);
    expect(await store.rename(key, newer, aChange(), grace)).toBe('renamed');
    expect((await store.load(key))?.gone).toBe('renamed');
    const before = await store.count();
    expect(await store.deleteByUser(userId, { tombstoneUntil: grace })).toBe(1);
    expect(await store.count()).toBe(before - 1);
    expect(await store.findByUser(userId)).toEqual([]);
    expect((await store.load(newer))?.gone).toBe('ended');
    clock.advance('1m');
    await store.create(newKey(), aRecord({ expiresAt: clock.now() - 1 }));
    expect(await store.countExpired()).toBe(1);
    expect(await store.deleteExpired()).toBe(1);
    expect(await store.countExpired()).toBe(0);
  };

  it('sees what was just written, though the application reads through a cache', async () => {
    const { store, clock } = await connect({ cache: { alwaysEnabled: true, duration: 60_000 } });
    await useAll(store, clock);
    const key = newKey();
    await store.create(key, aRecord());
    const loaded = await store.load(key);
    const saves = Array.from({ length: 30 }, (_, n) =>
      store.save(key, aChange({ set: { [`k${n}`]: '1' } }), loaded),
    );
    expect(await Promise.all(saves)).toEqual(Array(30).fill(true));
    expect(Object.keys((await store.load(key))!.values)).toHaveLength(30);
  });

  it('tells the application’s logger nothing, also of statements that are slow or fail', async () => {
    const logger = new LogOfTheApplication();
    const { dataSource, store, clock } = await connect({
      logger,
      logging: 'all',
      maxQueryExecutionTime: 1e-9,
    });
    const repository = dataSource.getRepository<SessionEntity>(entity);
    await repository.count();
    expect(logger.lines.join('\n')).toContain('COUNT'); // the application's own still come
    logger.lines.length = 0;
    await useAll(store, clock);
    await dataSource.createQueryRunner().dropTable('session');
    logger.lines.length = 0;
    await expect(store.create(newKey(), aRecord({ values: { a: VALUE } }))).rejects.toThrow();
    await expect(store.load(newKey())).rejects.toThrow();
    await expect(store.findByUser('ada')).rejects.toThrow();
    expect(logger.lines).toEqual([]);
  });

  it('calls no subscribers of the application', async () => {
    const calls: string[] = [];
    const note = (event: string) => () => void calls.push(event);
    const subscriber: EntitySubscriberInterface = {
      afterLoad: note('afterLoad'),
      beforeQuery: note('beforeQuery'),
      afterQuery: note('afterQuery'),
      beforeInsert: note('beforeInsert'),
      afterInsert: note('afterInsert'),
      beforeUpdate: note('beforeUpdate'),
      afterUpdate: note('afterUpdate'),
      beforeRemove: note('beforeRemove'),
      beforeTransactionStart: note('beforeTransactionStart'),
    };
    const { dataSource, store, clock } = await connect();
    dataSource.subscribers.push(subscriber);
    await dataSource.getRepository<SessionEntity>(entity).find();
    expect(calls).toContain('beforeQuery');
    calls.length = 0;
    await useAll(store, clock);
    expect(calls).toEqual([]);
  });

  it('works under a prefix for all tables', async () => {
    const { dataSource, store, clock } = await connect({ entityPrefix: 'app_' });
    await useAll(store, clock);
    expect(dataSource.getMetadata(entity).tableName).toBe('app_session');
  });

  if (isSqlite) return;

  it('asks the primary alone, however far its replicas are behind', async () => {
    const replica = await create(); // has the table, and never a row
    cleanUp.push(replica.drop);
    await (
      await new DataSource({
        ...replica.options,
        entities: [entity],
        synchronize: true,
      }).initialize()
    ).destroy();
    const { type } = database.options;
    const replication = { master: database.options, slaves: [replica.options] };
    const { store, clock } = await connect({ ...({ type, url: undefined, replication } as object) });
    await useAll(store, clock);
  });

  it('has a connection left for other visitors while many requests write to one session', async () => {
    const { dataSource, store } = await connect({ poolSize: 2 });
    const [busy, other] = [newKey(), newKey()];
    await store.create(busy, aRecord());
    await store.create(other, aRecord());
    const loaded = await store.load(busy);
    const blocker = dataSource.createQueryRunner();
    await blocker.startTransaction();
    const [table, key] = ['session', 'key'].map((each) => dataSource.driver.escape(each));
    await blocker.query(`SELECT * FROM ${table} WHERE ${key} = '${busy}' FOR UPDATE`);
    cleanUp.push(() => blocker.release());
    const writes = Array.from({ length: 20 }, (_, n) =>
      store.save(busy, aChange({ set: { [`k${n}`]: '1' } }), loaded),
    );
    await blocker.commitTransaction().then(() => blocker.release());
    expect(await Promise.all([...writes, store.save(other, aChange({ set: { a: '1' } }))])).toEqual(
      Array(21).fill(true),
    );
    expect(Object.keys((await store.load(busy))!.values)).toHaveLength(20);
  });

  it('asks again for what was being read when the connection broke, and repeats no write', async () => {
    const { dataSource, store } = await connect();
    const key = newKey();
    await store.create(key, aRecord({ userId: 'ada' }));
    const blocker = dataSource.createQueryRunner();
    cleanUp.push(() => blocker.release());
    const table = dataSource.driver.escape('session');
    const [lock, unlock, waiting, end] =
      name === 'PostgreSQL'
        ? [
            `BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`,
            'COMMIT',
            `SELECT pid AS id FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
            'SELECT pg_terminate_backend(%)',
          ]
        : [
            `LOCK TABLES ${table} WRITE`,
            'UNLOCK TABLES',
            `SELECT id FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND STATE LIKE 'Waiting for table%'`,
            'KILL %',
          ];
    /** Breaks the connection under a statement that waits. */
    const cutUnder = async (work: () => Promise<unknown>): Promise<unknown> => {
      await blocker.query(lock);
      const outcome = work().catch((error: unknown) => error);
      let found: { id: number | string }[] = [];
      while (found.length === 0) found = await dataSource.query(waiting);
      await dataSource.query(end.replace('%', String(found[0].id)));
      await blocker.query(unlock);
      return outcome;
    };
    expect(await cutUnder(() => store.load(key))).toMatchObject({ userId: 'ada' });
    expect(await cutUnder(() => store.findByUser('ada'))).toHaveLength(1);
    expect(await cutUnder(() => store.count())).toBe(1);
    expect(await cutUnder(() => store.touch(key, aChange()))).toBeInstanceOf(Error);
  });

  describe('in a transaction of the application that is rolled back', () => {
    const failing = async (dataSource: DataSource, work: () => Promise<unknown>) => {
      const rolledBack = runInTransaction(
        async () => {
          await dataSource.query('SELECT 1');
          await work();
          throw new Error('rolled back');
        },
        { connectionName: 'default' },
      );
      await expect(rolledBack).rejects.toThrow('rolled back');
    };
    const connectTransactional = () =>
      connect({}, (dataSource) => addTransactionalDataSource({ dataSource, name: 'default', patch: true }));
    let open: Awaited<ReturnType<typeof connectTransactional>>;
    beforeEach(async () => {
      const { deleteDataSourceByName } = await import('typeorm-transactional');
      deleteDataSourceByName('default');
      open = await connectTransactional();
    });

    it('what was answered holds: a save, a count, a new id, an end, the end of all', async () => {
      const { dataSource, store, clock } = open;
      const [key, newer, other] = [newKey(), newKey(), newKey()];
      await failing(dataSource, () => store.create(key, aRecord({ userId: 'ada' })));
      await failing(dataSource, async () => {
        expect(await store.save(key, aChange({ set: { a: '1' } }))).toBe(true);
        expect(await store.atomic(key, 'n', () => '1')).toEqual({ text: '1' });
      });
      expect({ ...(await store.load(key))?.values }).toMatchObject({ a: '1', n: '1' });
      await failing(dataSource, () => store.rename(key, newer, aChange()));
      expect(await store.load(newer)).toMatchObject({ userId: 'ada' });
      await failing(dataSource, () => store.delete(newer));
      expect(await store.load(newer)).toBeUndefined();
      await store.create(other, aRecord({ userId: 'ada' }));
      await failing(dataSource, () => store.deleteByUser('ada'));
      expect(await store.findByUser('ada')).toEqual([]);
      await failing(dataSource, () => useAll(store, clock));
    });

    it('the application’s own statements are undone with it all the same', async () => {
      const { dataSource } = open;
      const repository = dataSource.getRepository<SessionEntity>(entity);
      const table = dataSource.driver.escape('own');
      await dataSource.query(`CREATE TABLE ${table} (n int)`);
      await failing(dataSource, () => dataSource.query(`INSERT INTO ${table} VALUES (1)`));
      expect(await dataSource.query(`SELECT * FROM ${table}`)).toEqual([]);
      expect(await repository.count()).toBe(0);
    });
  });

  const SETTINGS =
    name === 'PostgreSQL'
      ? ['repeatable read', 'serializable'].map((level) => `default_transaction_isolation = '${level}'`)
      : [
          "SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY'",
          "SESSION sql_mode = ''",
          'SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE',
          'SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
        ];

  it.each(SETTINGS)(
    'keeps every acknowledged write where a connection begins with SET %s',
    async (setting) => {
      const { dataSource, store, clock } = await connect({ synchronize: true });
      const { driver } = dataSource as unknown as {
        driver: { master?: { on: Listen }; pool?: { on: Listen } };
      };
      type Listen = (event: string, listener: (connection: { query(sql: string): unknown }) => void) => void;
      const pool = (driver.master ?? driver.pool)!;
      pool.on(
        name === 'PostgreSQL' ? 'connect' : 'connection',
        (connection) => void connection.query(`SET ${setting}`),
      );
      const key = newKey();
      await store.create(key, aRecord());
      const loaded = await store.load(key);
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          n % 2
            ? store.save(key, aChange({ set: { [`k${n}`]: '1' } }), loaded)
            : store.atomic(key, 'n', (text) => String(Number(text ?? 0) + 1)),
        ),
      );
      expect(results.every(Boolean)).toBe(true);
      const { values } = (await store.load(key))!;
      expect([Object.keys(values).length, values.n]).toEqual([11, '10']);
      await useAll(store, clock);
    },
  );
});
