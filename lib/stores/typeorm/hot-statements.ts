import type { DataSource, EntityMetadata, QueryResult } from 'typeorm';
import type { EpochMs } from '../../core/clock.js';
import { columnName, tableName } from './entity-metadata.js';
import type { OwnConnections } from './own-connections.js';
import type { SessionEntity } from './session.entity.js';

type Column = keyof SessionEntity;

const BIGINTS: readonly Column[] = [
  'previousUntil',
  'createdAt',
  'lastSeenAt',
  'expiresAt',
  'absoluteExpiresAt',
];

/** The row that an update is meant for, as it was when it was read. */
export interface ExpectedRow {
  readonly key: string;
  readonly handle: string;
  readonly version: number;
}

/**
 * The two statements of nearly every request, load and save, as text that is put together once. TypeORM's query builders
 * take longer to write such a statement than PostgreSQL takes to answer it: several hundred µs of this process's time.
 */
export class HotStatements {
  readonly #dataSource: DataSource;
  readonly #connections: OwnConnections;
  readonly #metadata: EntityMetadata;
  readonly #table: string;
  readonly #columns: readonly (readonly [Column, databaseName: string, isBigint: boolean])[];
  readonly #select: string;
  /** Update statements by the columns that they write: those of a save, and those of a rename. */
  readonly #updates = new Map<string, string>();

  constructor(
    dataSource: DataSource,
    connections: OwnConnections,
    metadata: EntityMetadata,
    columns: readonly Column[],
  ) {
    this.#dataSource = dataSource;
    this.#connections = connections;
    this.#metadata = metadata;
    this.#table = tableName(dataSource, metadata);
    this.#columns = columns.map((column) => [
      column,
      metadata.findColumnWithPropertyName(column)!.databaseName,
      BIGINTS.includes(column),
    ]);
    const names = columns.map(this.#name).join(', ');
    this.#select =
      `SELECT ${names} FROM ${this.#table} ` +
      `WHERE ${this.#equals('key', 0)} OR ${this.#equals('previousKey', 1)}`;
  }

  /** The row of a key, and the one that had it before its last rename. */
  async load(key: string): Promise<SessionEntity[]> {
    const { records } = await this.#query(this.#select, [key, key]);
    return (records as Record<string, unknown>[]).map((record) => this.#rowOf(record));
  }

  /**
   * Writes columns of the row, if it is still as expected, alive at `now`, and of a format up to `format`.
   *
   * @returns how many rows were written: 1 or 0
   */
  async update(
    expected: ExpectedRow,
    now: EpochMs,
    format: number,
    values: Readonly<Partial<Record<Column, unknown>>>,
  ): Promise<number> {
    const columns = Object.keys(values) as Column[];
    const { handle, key, version } = expected;
    const parameters = [...columns.map((column) => values[column]), handle, key, version, format, now];
    const { affected } = await this.#query(this.#updateOf(columns), parameters);
    return affected ?? 0;
  }

  #updateOf(columns: readonly Column[]): string {
    const shape = columns.join();
    const known = this.#updates.get(shape);
    if (known !== undefined) return known;
    const set = columns.map((column, index) => this.#equals(column, index)).join(', ');
    const after = columns.length;
    const where = [
      this.#equals('handle', after),
      this.#equals('key', after + 1),
      this.#equals('version', after + 2),
      `${this.#name('format')} <= ${this.#parameter(after + 3)}`,
      `${this.#name('expiresAt')} > ${this.#parameter(after + 4)}`,
      `${this.#name('gone')} IS NULL`,
    ].join(' AND ');
    const statement = `UPDATE ${this.#table} SET ${set} WHERE ${where}`;
    this.#updates.set(shape, statement);
    return statement;
  }

  #query(statement: string, parameters: unknown[]): Promise<QueryResult> {
    return this.#connections.use((runner) => runner.query(statement, parameters, true));
  }

  #rowOf(record: Record<string, unknown>): SessionEntity {
    const row: Record<string, unknown> = {};
    for (const [column, databaseName, isBigint] of this.#columns) {
      const value = record[databaseName];
      row[column] = isBigint && value !== null ? Number(value) : value;
    }
    return row as unknown as SessionEntity;
  }

  #equals(column: Column, index: number): string {
    return `${this.#name(column)} = ${this.#parameter(index)}`;
  }

  readonly #name = (column: Column): string => columnName(this.#dataSource, this.#metadata, column);

  #parameter(index: number): string {
    return this.#dataSource.driver.createParameter(`p${index}`, index);
  }
}
