import { type MigrationInterface, type QueryRunner, type Table, TableColumn } from 'typeorm';
import type { SessionTableMigration } from './create-session-table.js';
import { isMySql } from './entity-metadata.js';
import { TableColumns, tableNameOf } from './table-columns.js';

/** What the table did not have before 1795824000000. */
const ADDED = ['trail', 'replacedBy'];

/**
 * As {@link UpgradeSessionTable1795824000000}, for a table of another name.
 *
 * @param name the table's, as it was given to `createSessionTable`
 * @param timestamp when the migration is to run among yours, 13 digits as TypeORM writes them
 */
export function upgradeSessionTable(name: string, timestamp: number): SessionTableMigration {
  return class implements MigrationInterface {
    readonly name: string = `UpgradeSessionTable${timestamp}`;

    async up(queryRunner: QueryRunner): Promise<void> {
      const table = await tableCalled(queryRunner, tableNameOf(queryRunner, name));
      const columns = new TableColumns(queryRunner);
      for (const property of ADDED) {
        const column = new TableColumn(columns.column(property));
        if (!table.findColumnByName(column.name)) await queryRunner.addColumn(table, column);
      }
      if (isMySql(queryRunner.connection.options.type)) await compareExactly(queryRunner, table, columns);
    }

    // The collations stay: what compares byte by byte serves an earlier release too.
    async down(queryRunner: QueryRunner): Promise<void> {
      const columns = new TableColumns(queryRunner);
      const names = ADDED.map((property) => columns.column(property).name);
      await queryRunner.dropColumns(tableNameOf(queryRunner, name), names);
    }
  };
}

/**
 * Brings a table that an earlier release made up to this one: adds the columns that say where a replaced id led, and on
 * MySQL and MariaDB makes keys, handles and user ids compare byte by byte. It does nothing to a table that has this already,
 * so that it may stand beside {@link CreateSessionTable1764000000000} in a new application too.
 *
 * @example
 * migrations: [CreateSessionTable1764000000000, UpgradeSessionTable1795824000000]
 */
export class UpgradeSessionTable1795824000000 extends upgradeSessionTable('session', 1795824000000) {}

async function tableCalled(queryRunner: QueryRunner, name: string): Promise<Table> {
  const table = await queryRunner.getTable(name);
  if (!table) throw new Error(`There is no table ${name} to upgrade: let createSessionTable make it first.`);
  return table;
}

/** In place: TypeORM would drop the columns and make them again, with every session's key. */
async function compareExactly(queryRunner: QueryRunner, table: Table, columns: TableColumns): Promise<void> {
  const { driver } = queryRunner.connection;
  const escaped = table.name.split('.').map((part) => driver.escape(part));
  const changes = columns.exact.map(
    ({ name, type, length, charset, collation, isNullable }) =>
      `MODIFY ${driver.escape(name)} ${type}(${length}) CHARACTER SET ${charset} COLLATE ${collation} ` +
      (isNullable ? 'NULL' : 'NOT NULL'),
  );
  await queryRunner.query(`ALTER TABLE ${escaped.join('.')} ${changes.join(', ')}`);
}
