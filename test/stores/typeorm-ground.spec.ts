import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SessionModule } from 'nest-session';
import { aRecord, newKey } from 'nest-session/testing';
import {
  CreateSessionTable1764000000000,
  type SessionEntity,
  TypeOrmSessionStore,
} from 'nest-session/typeorm';
import { Column, DataSource, type DataSourceOptions, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { describeDatabases, type TestDatabase } from '../support/databases.js';

const secret = 'a secret of at least thirty-two characters';

/** What an application calls one of its own. */
@Entity()
class Session {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column({ type: 'varchar', length: 20 })
  device!: string;
}

await describeDatabases('the table of sessions when the application starts', ({ entity, name, create }) => {
  let database: TestDatabase;
  const cleanUp: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    database = await create();
    cleanUp.push(database.drop);
  });
  afterEach(async () => {
    for (const clean of cleanUp.splice(0).reverse()) await clean();
  });

  const connect = async (options: Partial<DataSourceOptions> = {}): Promise<DataSource> => {
    const all = { ...database.options, entities: [entity], ...options } as DataSourceOptions;
    const dataSource = await new DataSource(all).initialize();
    cleanUp.push(() => dataSource.destroy());
    return dataSource;
  };

  const start = async (options: object = {}) => {
    const module = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRoot({ ...database.options, entities: [entity], retryAttempts: 1, ...options }),
        SessionModule.forRoot({ secret, sweep: false, store: TypeOrmSessionStore.with({ entity }) }),
      ],
    }).compile();
    cleanUp.push(() => module.close());
    await module.init();
  };

  it('is missing: the start fails, and names the migration', async () => {
    await expect(start()).rejects.toThrow(
      /there is no table \S*session for \w+: add `migrations: \[CreateSessionTable1764000000000\]`.*`synchronize: true`/,
    );
  });

  it('is there: the start succeeds', async () => {
    await start({ migrations: [CreateSessionTable1764000000000], migrationsRun: true });
  });

  it('is somebody else’s: the start fails, says whose it may be, and leaves it as it is', async () => {
    const dataSource = await connect();
    const table = dataSource.driver.escape('session');
    await dataSource.query(`CREATE TABLE ${table} (sid varchar(200) PRIMARY KEY, sess text, expire int)`);
    await dataSource.query(`INSERT INTO ${table} VALUES ('a', '{}', 1)`);
    await expect(start()).rejects.toThrow(
      /is not one of nest-session's: it has the columns sid, sess, expire \(connect-pg-simple.*TypeOrmSessionStore\.with/,
    );
    expect(await dataSource.query(`SELECT sid FROM ${table}`)).toEqual([{ sid: 'a' }]);
  });

  it('is an entity of the application too: the start fails, and names it', async () => {
    const shared = start({ entities: [entity, Session] });
    await expect(shared).rejects.toThrow(/have the same table.*`@Entity\('another_name'\)` on Session/);
  });

  it('is of an earlier release: the start fails, and names the migration', async () => {
    const dataSource = await connect({ synchronize: true });
    await dataSource.createQueryRunner().dropColumns('session', ['trail', 'replacedBy']);
    await expect(start()).rejects.toThrow(
      /lacks the columns trail, replacedBy:.*UpgradeSessionTable1795824000000/,
    );
  });

  it('is named by all that is wrong where the entity is a subclass', async () => {
    @Entity('visitor_session')
    class VisitorSession extends (entity as typeof SessionEntity) {}
    const dataSource = await connect({ entities: [VisitorSession] });
    const store = new TypeOrmSessionStore(dataSource, { entity: VisitorSession });
    await expect(store.onModuleInit()).rejects.toThrow("createSessionTable('visitor_session', …)");
  });

  if (name === 'MariaDB') {
    it('compares user ids by a collation: the start fails', async () => {
      const dataSource = await connect({ synchronize: true });
      await dataSource.query(
        'ALTER TABLE session MODIFY userId varchar(255) COLLATE utf8mb4_general_ci NULL',
      );
      await expect(start()).rejects.toThrow(/differ in case or accents.*UpgradeSessionTable1795824000000/);
    });

    it('is on a server whose binary log takes no READ COMMITTED: the start fails', async () => {
      const dataSource = await connect({ synchronize: true });
      const { driver } = dataSource;
      const createRunner = driver.createQueryRunner;
      driver.createQueryRunner = function (mode) {
        const runner = createRunner.call(this, mode);
        const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
        const answer = [
          { Variable_name: 'log_bin', Value: 'ON' },
          { Variable_name: 'binlog_format', Value: 'STATEMENT' },
        ];
        const asked = async (...args: unknown[]) =>
          String(args[0]).startsWith('SHOW VARIABLES') ? answer : query(...args);
        return Object.assign(runner, { query: asked });
      };
      const store = new TypeOrmSessionStore(dataSource, { entity });
      await expect(store.onModuleInit()).rejects.toThrow(/binlog_format STATEMENT.*MIXED or ROW/);
    });

    it('is on a server whose mode makes the driver escape wrongly: the start fails', async () => {
      const dataSource = await connect({ synchronize: true });
      const { pool } = dataSource.driver as unknown as {
        pool: { on(event: string, listener: (connection: { query(sql: string): unknown }) => void): void };
      };
      pool.on('connection', (connection) => void connection.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'"));
      const runners = [1, 2, 3].map(() => dataSource.createQueryRunner());
      await Promise.all(runners.map((runner) => runner.connect())); // those that were made before have the old mode
      const store = new TypeOrmSessionStore(dataSource, { entity });
      await Promise.all(runners.slice(1).map((runner) => runner.release()));
      const checks = await Promise.allSettled([store.onModuleInit(), store.onModuleInit()]);
      await runners[0].release();
      expect(
        JSON.stringify(checks.map((each) => (each.status === 'rejected' ? String(each.reason) : ''))),
      ).toContain('NO_BACKSLASH_ESCAPES');
    });
  }

  if (name === 'SQLite') {
    it.each(['sqlite', 'sqljs', 'cockroachdb', 'mssql', 'oracle', 'aurora-mysql'])(
      'is on `type: %s`, where it was never tried: the start says what to write',
      async (type) => {
        const dataSource = new DataSource({ ...database.options, entities: [entity] });
        Object.assign(dataSource, { options: { ...dataSource.options, type } });
        const store = new TypeOrmSessionStore(dataSource, { entity });
        const instead = type.startsWith('sql')
          ? /write `type: 'better-sqlite3'`/
          : /it works with postgres, mysql/;
        await expect(store.load(newKey())).rejects.toThrow(instead);
      },
    );
  } else {
    it('can be read and not written: a ping fails, and writes nothing where it can', async () => {
      const dataSource = await connect({ synchronize: true });
      const store = new TypeOrmSessionStore(dataSource, { entity });
      await store.create(newKey(), aRecord());
      await store.ping();
      expect(await store.count()).toBe(1);
      const readOnly = await connect();
      const { driver } = readOnly as unknown as {
        driver: { master?: { on: Listen }; pool?: { on: Listen } };
      };
      type Listen = (event: string, listener: (connection: { query(sql: string): unknown }) => void) => void;
      const [event, statement] =
        name === 'PostgreSQL'
          ? ['connect', 'SET default_transaction_read_only = on']
          : ['connection', 'SET SESSION TRANSACTION READ ONLY'];
      (driver.master ?? driver.pool)!.on(event, (connection) => void connection.query(statement));
      const runners = [1, 2].map(() => readOnly.createQueryRunner());
      await Promise.all(runners.map((runner) => runner.connect()));
      await runners[1].release(); // the one that was made after the listener
      await expect(new TypeOrmSessionStore(readOnly, { entity }).ping()).rejects.toThrow(/read.only/i);
      await runners[0].release();
    });
  }
});
