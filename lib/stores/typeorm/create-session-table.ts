import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';
import { TableColumns, tableNameOf } from './table-columns.js';

/** A migration of the session table. */
export type SessionTableMigration = new () => MigrationInterface;

/**
 * A migration for a table with another name, such as that of your own subclass of SessionEntity. It makes what
 * `synchronize` would make of SessionEntity (MySqlSessionEntity on MySQL and MariaDB) under the data source's naming
 * strategy and `entityPrefix`; columns of your own are yours to add.
 *
 * @param name the table's, with the schema before it if there is one: 'web.visitor_session'
 * @param timestamp when the migration is to run among yours, 13 digits as TypeORM writes them
 * @example
 * export class CreateVisitorSession1764000000000 extends createSessionTable('visitor_session', 1764000000000) {}
 */
export function createSessionTable(name: string, timestamp: number): SessionTableMigration {
  return class implements MigrationInterface {
    readonly name: string = `CreateSessionTable${timestamp}`;

    async up(queryRunner: QueryRunner): Promise<void> {
      const { columns, indices } = new TableColumns(queryRunner);
      await queryRunner.createTable(
        new Table({ name: tableNameOf(queryRunner, name), columns: [...columns], indices }),
      );
    }

    async down(queryRunner: QueryRunner): Promise<void> {
      await queryRunner.dropTable(tableNameOf(queryRunner, name));
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
