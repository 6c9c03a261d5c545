import { Injectable, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { MemorySessionStore, SessionModule, type SessionModuleOptions, SessionStore } from 'nest-session';
import { aChange, aRecord, newKey } from 'nest-session/testing';
import {
  CreateSessionTable1764000000000,
  createSessionTable,
  MySqlSessionEntity,
  SessionEntity,
  TypeOrmSessionStore,
  UpgradeSessionTable1795824000000,
  upgradeSessionTable,
} from 'nest-session/typeorm';
import {
  Column,
  DataSource,
  type DataSourceOptions,
  DefaultNamingStrategy,
  Entity,
  type MigrationInterface,
  Table,
} from 'typeorm';
// What autoLoadEntities loads is kept for the whole process; applications of other tests have loaded other entities.
import { EntitiesMetadataStorage } from '../../node_modules/@nestjs/typeorm/dist/entities-metadata.storage.js';
import { describeDatabases, type TestDatabase } from '../support/databases.js';

const secret = 'a secret of at least thirty-two characters';

@Entity('visitor_session')
class VisitorSession extends SessionEntity {
  @Column({ type: 'varchar', length: 20, nullable: true })
  tenantId!: string | null;
}

@Entity('visitor_session')
class MySqlVisitorSession extends MySqlSessionEntity {
  @Column({ type: 'varchar', length: 20, nullable: true })
  tenantId!: string | null;
}

@Entity('session', { schema: 'web' })
class WebSession extends SessionEntity {}

class SnakeCase extends DefaultNamingStrategy {
  override columnName(property: string, customName: string, prefixes: string[]): string {
    const snake = property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return super.columnName(snake, customName, prefixes);
  }

  override tableName(className: string, customName: string): string {
    return `t_${super.tableName(className, customName)}`;
  }
}

/** As `CreateSessionTable1764000000000` made it before there was another migration. */
function tableOfTheFirstRelease({ driver, options }: DataSource): Table {
  const isMariaDb = options.type === 'mariadb';
  const text = (name: string, length: string) => ({
    name,
    type: driver.normalizeType({ type: 'varchar' }),
    length,
  });
  const number = (name: string, type: 'int' | 'bigint') => ({ name, type: driver.normalizeType({ type }) });
  const unique = ['key', 'previousKey'].map((column) => ({ columnNames: [column], isUnique: true }));
  return new Table({
    name: 'session',
    columns: [
      { ...text('handle', '32'), isPrimary: true },
      { ...text('key', '64'), isUnique: !isMariaDb },
      { ...text('previousKey', '64'), isUnique: !isMariaDb },
      { ...number('previousUntil', 'bigint'), isNullable: true },
      { name: 'data', type: isMariaDb ? 'mediumtext' : 'text' },
      number('version', 'int'),
      number('format', 'int'),
      { ...text('userId', '255'), isNullable: true },
      text('policy', '255'),
      number('createdAt', 'bigint'),
      number('lastSeenAt', 'bigint'),
      number('expiresAt', 'bigint'),
      number('absoluteExpiresAt', 'bigint'),
      { ...text('gone', '16'), isNullable: true },
    ],
    indices: [
      { columnNames: ['userId'], isUnique: false },
      { columnNames: ['expiresAt'], isUnique: false },
      ...(isMariaDb ? unique : []),
    ],
  });
}

await describeDatabases('TypeOrmSessionStore set up', ({ entity, name, create }) => {
  const visitorSession: Type<VisitorSession> = name === 'MariaDB' ? MySqlVisitorSession : VisitorSession;
  let database: TestDatabase;
  const cleanUp: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    (EntitiesMetadataStorage as unknown as { storage: Map<unknown, unknown> }).storage.clear();
    database = await create();
    cleanUp.push(database.drop);
  });
  afterEach(async () => {
    for (const clean of cleanUp.splice(0).reverse()) await clean();
  });

  const connect = async (options: Partial<DataSourceOptions>): Promise<DataSource> => {
    const dataSource = await new DataSource({
      ...database.options,
      ...options,
    } as DataSourceOptions).initialize();
    cleanUp.push(() => dataSource.destroy());
    return dataSource;
  };

  const startNest = async (
    store: SessionModuleOptions['store'],
    connection: object = { autoLoadEntities: true, synchronize: true },
  ) => {
    const module = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRoot({ ...database.options, ...connection }),
        SessionModule.forRoot({ secret, store }),
      ],
    }).compile();
    cleanUp.push(() => module.close());
    await module.init();
    return module;
  };

  /** Creates, loads and saves one session. */
  const useOnce = async (store: SessionStore): Promise<string> => {
    const key = newKey();
    expect(await store.create(key, aRecord({ values: { a: '1' } }))).toBe(true);
    expect(await store.save(key, aChange({ set: { b: '2' } }), await store.load(key))).toBe(true);
    expect({ ...(await store.load(key))?.values }).toEqual({ a: '1', b: '2' });
    return key;
  };

  describe('by Nest', () => {
    it('works with autoLoadEntities and nothing else said', async () => {
      const store = entity === SessionEntity ? TypeOrmSessionStore : TypeOrmSessionStore.with({ entity });
      const module = await startNest(store);
      expect(module.get(SessionStore)).toBeInstanceOf(TypeOrmSessionStore);
      await useOnce(module.get(SessionStore));
    });

    it('works on a data source with a name', async () => {
      const store = TypeOrmSessionStore.with({ entity, dataSource: 'sessions' });
      const module = await startNest(store, { name: 'sessions', autoLoadEntities: true, synchronize: true });
      await useOnce(module.get(SessionStore));
      const dataSource = module.get<DataSource>(getDataSourceToken('sessions'));
      expect(await dataSource.getRepository(entity).count()).toBe(1);
    });

    it('works in an entity, a table and columns of your own', async () => {
      const store = TypeOrmSessionStore.with<VisitorSession>({
        entity: visitorSession,
        columns: (session) => ({ tenantId: (session.get('tenant') as string | undefined) ?? null }),
      });
      const module = await startNest(store);
      const sessions = module.get(DataSource).getRepository(visitorSession);
      const tenantOf = async (key: string) => (await sessions.findOneByOrFail({ key })).tenantId;
      const key = await useOnce(module.get(SessionStore));
      expect(sessions.metadata.tableName).toBe('visitor_session');
      expect(await tenantOf(key)).toBeNull();

      const [newer] = [newKey()];
      await module.get(SessionStore).save(key, aChange({ set: { tenant: '"acme"' } }));
      expect(await tenantOf(key)).toBe('acme');
      await module.get(SessionStore).rename(key, newer, aChange({ set: { tenant: '"bolt"' } }));
      expect(await tenantOf(newer)).toBe('bolt');
      await module.get(SessionStore).delete(newer, Date.now() + 30_000);
      expect(await tenantOf(newer)).toBeNull(); // a tombstone holds nothing of the session
    });

    it('does not construct a store that a test overrides', async () => {
      let wasConstructed = false;

      @Injectable()
      class Watched extends TypeOrmSessionStore.with({ entity }) {
        readonly watch = (wasConstructed = true);
      }
      const imports = [
        TypeOrmModule.forRoot({ ...database.options, autoLoadEntities: true }),
        SessionModule.forRoot({ secret, store: Watched }),
      ];
      const module = await Test.createTestingModule({ imports })
        .overrideProvider(SessionStore)
        .useClass(MemorySessionStore)
        .compile();
      cleanUp.push(() => module.close());
      await module.init();
      expect(module.get(SessionStore)).toBeInstanceOf(MemorySessionStore);
      expect(wasConstructed).toBe(false);
    });

    it('says at start-up what to write when the data source does not know the entity', async () => {
      const starting = startNest(TypeOrmSessionStore.with({ entity }), {});
      await expect(starting).rejects.toThrow(/autoLoadEntities: true.*entities: \[\w*SessionEntity\]/s);
    });

    if (name === 'MariaDB') {
      it('says at start-up what to write when the data would end at 64 kB', async () => {
        await expect(startNest(TypeOrmSessionStore)).rejects.toThrow(
          /with\(\{ entity: MySqlSessionEntity \}\)/,
        );
      });
    }
  });

  describe('by migration', () => {
    /** What `synchronize` would still change after the migrations. */
    const leftToDo = async (
      of: Type<SessionEntity>,
      migrations: (new () => MigrationInterface)[],
      more: object = {},
    ) => {
      const dataSource = await connect({ ...more, entities: [of], migrations });
      await dataSource.runMigrations();
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
      await useOnce(new TypeOrmSessionStore(dataSource, { entity: of }));
      for (const _ of migrations) await dataSource.undoLastMigration();
      expect(await dataSource.createQueryRunner().hasTable(dataSource.getMetadata(of).tablePath)).toBe(false);
      return upQueries.map(({ query }) => query);
    };
    const create = CreateSessionTable1764000000000;
    const upgrade = UpgradeSessionTable1795824000000;

    it('makes exactly what synchronize makes, and takes it away again', async () => {
      expect(await leftToDo(entity, [create])).toEqual([]);
    });

    it('leaves a new table as it is when it is upgraded', async () => {
      expect(await leftToDo(entity, [create, upgrade])).toEqual([]);
    });

    it('follows the naming strategy, for columns and tables', async () => {
      expect(await leftToDo(entity, [create, upgrade], { namingStrategy: new SnakeCase() })).toEqual([]);
    });

    it('follows entityPrefix', async () => {
      expect(await leftToDo(entity, [create, upgrade], { entityPrefix: 'app_' })).toEqual([]);
      class CreateVisitors extends createSessionTable('app_visitor_session', 1764000000001) {}
      const dataSource = await connect({ entityPrefix: 'app_', migrations: [CreateVisitors] });
      await dataSource.runMigrations();
      expect(await dataSource.createQueryRunner().hasTable('app_visitor_session')).toBe(true);
    });

    it('brings a table of the first release up to this one, with its sessions', async () => {
      const dataSource = await connect({ entities: [entity], migrations: [upgrade] });
      await dataSource.createQueryRunner().createTable(tableOfTheFirstRelease(dataSource));
      const [key, handle] = [newKey(), 'f'.repeat(32)];
      const columns = ['handle', 'key', 'previousKey', 'data', 'version', 'format', 'userId', 'policy'];
      const times = ['createdAt', 'lastSeenAt', 'expiresAt', 'absoluteExpiresAt'];
      const row = [
        handle,
        key,
        key,
        '{"a":"1"}',
        1,
        1,
        'ada',
        '14d',
        ...times.map(() => Date.now() + 60_000),
      ];
      await dataSource
        .createQueryBuilder()
        .insert()
        .into('session', [...columns, ...times])
        .values(Object.fromEntries([...columns, ...times].map((column, index) => [column, row[index]])))
        .execute();

      await dataSource.runMigrations();
      expect((await dataSource.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
      const store = new TypeOrmSessionStore(dataSource, { entity });
      expect((await store.load(key))?.values).toMatchObject({ a: '1' });
      expect(await store.findByUser('ADA')).toEqual([]);
      expect(await store.findByUser('ada')).toHaveLength(1);

      await dataSource.undoLastMigration();
      const table = await dataSource.createQueryRunner().getTable('session');
      expect(table?.columns.map(({ name }) => name)).not.toContain('trail');
    });

    it('says what to do when the name is taken, and leaves that table as it is', async () => {
      const dataSource = await connect({ entities: [entity], migrations: [create] });
      const table = dataSource.driver.escape('session');
      await dataSource.query(`CREATE TABLE ${table} (sid varchar(200) PRIMARY KEY, sess text)`);
      await dataSource.query(`INSERT INTO ${table} VALUES ('a', '{}')`);
      await expect(dataSource.runMigrations()).rejects.toThrow(
        /a table session already, with the columns sid, sess\. .*connect-pg-simple.*createSessionTable\('visitor_session'/,
      );
      expect(await dataSource.query(`SELECT sid FROM ${table}`)).toEqual([{ sid: 'a' }]);
    });

    it('says what to do first when there is no table to upgrade', async () => {
      const dataSource = await connect({ entities: [entity], migrations: [upgrade] });
      await expect(dataSource.runMigrations()).rejects.toThrow('let createSessionTable make it first');
    });

    it('makes a table of another name, but for the columns of your own', async () => {
      class CreateVisitors extends createSessionTable('visitor_session', 1764000000001) {
        override async up(...[queryRunner]: Parameters<MigrationInterface['up']>): Promise<void> {
          await super.up(queryRunner);
          const type = queryRunner.connection.driver.normalizeType({ type: 'varchar' });
          const { TableColumn } = await import('typeorm');
          const column = new TableColumn({ name: 'tenantId', type, length: '20', isNullable: true });
          await queryRunner.addColumn('visitor_session', column);
        }
      }
      expect(await leftToDo(visitorSession, [CreateVisitors])).toEqual([]);
    });

    if (name === 'PostgreSQL') {
      it('makes a table in a schema', async () => {
        const dataSource = await connect({});
        await dataSource.query('CREATE SCHEMA web');
        class CreateWebSessions extends createSessionTable('web.session', 1764000000001) {}
        class UpgradeWebSessions extends upgradeSessionTable('web.session', 1795824000001) {}
        expect(await leftToDo(WebSession, [CreateWebSessions, UpgradeWebSessions])).toEqual([]);
      });

      it('makes a table in the default schema of the data source', async () => {
        await (await connect({})).query('CREATE SCHEMA web');
        expect(await leftToDo(entity, [create, upgrade], { schema: 'web' })).toEqual([]);
      });
    }
  });

  if (name === 'MariaDB') {
    it('keeps 4-byte characters in a table in latin1', async () => {
      const dataSource = await connect({ entities: [entity] });
      await dataSource.query('ALTER DATABASE CHARACTER SET latin1');
      await dataSource.synchronize();
      const [store, key] = [new TypeOrmSessionStore(dataSource, { entity }), newKey()];
      await store.create(key, aRecord({ values: { '🍵': '"日本"' } }));
      expect({ ...(await store.load(key))?.values }).toEqual({ '🍵': '"日本"' });
    });
  }
});
