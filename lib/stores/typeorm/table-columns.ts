import { type ColumnType, type QueryRunner, type TableColumnOptions } from 'typeorm';
import { isMySql } from './entity-metadata.js';

/**
 * On MySQL and MariaDB keys, handles and user ids compare byte by byte: the collations that databases are made with there
 * take `Ada`, `ADA` and `àda` for one user. One for all tables, whatever the server's default is.
 */
export const EXACT_ON_MYSQL = { charset: 'utf8mb4', collation: 'utf8mb4_bin' } as const;

/** Names are those of the entity's properties. */
const COLUMNS: readonly TableColumnOptions[] = [
  { name: 'handle', type: 'varchar', length: '32', isPrimary: true },
  { name: 'key', type: 'varchar', length: '64', isUnique: true },
  { name: 'previousKey', type: 'varchar', length: '64', isUnique: true },
  { name: 'previousUntil', type: 'bigint', isNullable: true },
  { name: 'trail', type: 'varchar', length: '64', isNullable: true },
  { name: 'replacedBy', type: 'varchar', length: '128', isNullable: true },
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

const EXACT: readonly string[] = ['handle', 'key', 'previousKey', 'userId'];
const DEFAULT_NAME = 'session';
const INDEXED: readonly string[] = ['userId', 'expiresAt'];

/** Index of a table as a migration makes it; its name is TypeORM's matter. */
export interface TableIndexShape {
  readonly columnNames: string[];
  readonly isUnique: boolean;
}

/** What a migration makes: the columns and indexes that `synchronize` would make of the entity. */
export class TableColumns {
  readonly columns: readonly TableColumnOptions[];
  readonly indices: TableIndexShape[];
  readonly #onMySql: boolean;

  constructor(private readonly queryRunner: QueryRunner) {
    const { options } = queryRunner.connection; // `dataSource` in TypeORM 1 alone
    this.#onMySql = isMySql(options.type);
    // There synchronize makes unique indexes and no unique constraints, which differ in their names.
    const unique = this.#onMySql ? COLUMNS.filter(({ isUnique }) => isUnique).map(({ name }) => name) : [];
    this.columns = COLUMNS.map((column) => this.#columnHere(column));
    this.indices = [...this.#indicesOf(INDEXED, false), ...this.#indicesOf(unique, true)];
  }

  /** The column of a property of the entity. */
  column(property: string): TableColumnOptions {
    return this.columns[COLUMNS.findIndex(({ name }) => name === property)];
  }

  /** Columns whose values compare byte by byte. */
  get exact(): TableColumnOptions[] {
    return EXACT.map((property) => this.column(property));
  }

  #indicesOf(properties: readonly string[], isUnique: boolean): TableIndexShape[] {
    return properties.map((property) => ({ columnNames: [this.#nameOf(property)], isUnique }));
  }

  #columnHere(column: TableColumnOptions): TableColumnOptions {
    const type = column.name === 'data' && this.#onMySql ? 'mediumtext' : (column.type as ColumnType);
    return {
      ...column,
      name: this.#nameOf(column.name),
      type: this.queryRunner.connection.driver.normalizeType({ type }),
      ...(this.#onMySql && { isUnique: false }),
      ...(this.#onMySql && EXACT.includes(column.name) && EXACT_ON_MYSQL),
    };
  }

  #nameOf(property: string): string {
    return this.queryRunner.connection.namingStrategy.columnName(property, '', []);
  }
}

/**
 * The table's name as the entity has it, under the data source's `entityPrefix` and naming strategy.
 *
 * @param name as in `@Entity()`, with the schema before it if there is one; the prefix may stand in it already
 */
export function tableNameOf({ connection }: QueryRunner, name: string): string {
  const { namingStrategy, options } = connection;
  const [table = name, ...schema] = name.split('.').reverse();
  const named = namingStrategy.tableName(table, table);
  const prefix = options.entityPrefix ?? '';
  const isPrefixed = prefix === '' || (table !== DEFAULT_NAME && named.startsWith(prefix));
  const full = isPrefixed ? named : namingStrategy.prefixTableName(prefix, named);
  return [...schema.reverse(), full].join('.');
}
