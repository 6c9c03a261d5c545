import {
  type ColumnType,
  type MigrationInterface,
  type QueryRunner,
  Table,
  type TableColumnOptions,
} from 'typeorm';
import { isMySql } from './entity-metadata.js';

/** A migration that creates the session table, and drops it when it is reverted. */
export type CreateSessionTable = new () => MigrationInterface;

/** The columns as the first release has them. A migration never changes: a later release adds another. */
const COLUMNS: readonly TableColumnOptions[] = [
  { name: 'handle', type: 'varchar', length: '32', isPrimary: true },
  { name: 'key', type: 'varchar', length: '64', isUnique: true },
  { name: 'previousKey', type: 'varchar', length: '64', isUnique: true },
  { name: 'previousUntil', type: 'bigint', isNullable: true },
  { name: 'data', type: 'text' },
  { name: 'version', type: 'int' },
  { name: 'format', type: 'int' },
  { name: 'userId', type: 'varchar', length: '255', isNullable: true },
  { name: 'policy', type: 'varchar', length: '255' },
  { name: 'createdAt', type: 'bigint' },
  { name: 'lastSeenAt', type: 'bigint' },
  { name: 'expiresAt', type: 'bigint' },
  { name: 'absoluteExpiresAt', type: 'bigint' },
  { name: 'gone', type: 'varchar', length: '16', isNullable: true },
];
const INDEXED: readonly string[] = ['userId', 'expiresAt'];

/**
 * A migration for a table with another name, such as that of your own subclass of SessionEntity. It makes what
 * `synchronize` would make of SessionEntity (MySqlSessionEntity on MySQL and MariaDB) under the data source's naming
 * strategy; columns of your own are yours to add.
 *
 * @param name the table's, with the schema before it if there is one: 'web.visitor_session'
 * @param timestamp when the migration is to run among yours, 13 digits as TypeORM writes them
 * @example
 * export class CreateVisitorSession1764000000000 extends createSessionTable('visitor_session', 1764000000000) {}
 */
export function createSessionTable(name: string, timestamp: number): CreateSessionTable {
  return class implements MigrationInterface {
    readonly name: string = `CreateSessionTable${timestamp}`;

    async up(queryRunner: QueryRunner): Promise<void> {
      await queryRunner.createTable(tableFor(queryRunner, name));
    }

    async down(queryRunner: QueryRunner): Promise<void> {
      await queryRunner.dropTable(name);
    }
  };
}

/**
 * Creates the table of SessionEntity, or of MySqlSessionEntity.
 *
 * @example
 * new DataSource({ …, entities: [SessionEntity], migrations: [CreateSessionTable1764000000000] })
 */
export class CreateSessionTable1764000000000 extends createSessionTable('session', 1764000000000) {}

function tableFor({ connection }: QueryRunner, name: string): Table {
  const { driver, namingStrategy, options } = connection; // `dataSource` in TypeORM 1 alone
  const onMySql = isMySql(options.type);
  const columnName = (property: string) => namingStrategy.columnName(property, '', []);
  const columns = COLUMNS.map((column) => {
    const type = column.name === 'data' && onMySql ? 'mediumtext' : (column.type as ColumnType);
    return { ...column, name: columnName(column.name), type: driver.normalizeType({ type }) };
  });
  const uniqueNames = columns.filter(({ isUnique }) => isUnique).map((column) => column.name);
  const indices = INDEXED.map((property) => ({ columnNames: [columnName(property)], isUnique: false }));
  if (!onMySql) return new Table({ name, columns, indices });

  // There synchronize makes unique indexes and no unique constraints, which differ in their names.
  const uniques = uniqueNames.map((column) => ({ columnNames: [column], isUnique: true }));
  const plain = columns.map((column) => ({ ...column, isUnique: false }));
  return new Table({ name, columns: plain, indices: [...indices, ...uniques] });
}
