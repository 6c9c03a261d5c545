import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';
import { SUBCLASS_EXAMPLE } from './entity-metadata.js';
import { TableColumns, tableNameOf } from './table-columns.js';

/** A migration of the session table. */
export type SessionTableMigration = new () => MigrationInterface;

/**
 * A migration for a table with another name, such as that of your own subclass of SessionEntity. It makes what
 * `synchronize` would make of SessionEntity (MySqlSessionEntity on MySQL and MariaDB) under the data source's naming
 * strategy and `entityPrefix`; columns of your own are yours to add.
 *
 * Its `up` fails where a table of that name is there already: it says whose it may be, and leaves it as it is.
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
      const path = tableNameOf(queryRunner, name);
      const there = await queryRunner.getTable(path);
      if (there) throw new Error(taken(path, there));
      await queryRunner.createTable(new Table({ name: path, columns: [...columns], indices }));
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

function taken(path: string, { columns }: Table): string {
  const names = columns.map(({ name }) => name).join(', ');
  return (
    `There is a table ${path} already, with the columns ${names}. If it is not one of nest-session's (connect-pg-simple makes ` +
    `one of this name), give the sessions a table of another name, ${SUBCLASS_EXAMPLE}, and make it by ` +
    "createSessionTable('visitor_session', …). If `synchronize` made it, mark this migration as done " +
    '(`npx typeorm migration:run --fake` does so with all that are pending).'
  );
}
