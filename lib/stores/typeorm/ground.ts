import type { EntityMetadata, QueryRunner } from 'typeorm';
import { SessionOptionsError } from '../../errors.js';
import { isMySql, SUBCLASS_EXAMPLE } from './entity-metadata.js';
import type { OwnConnections } from './own-connections.js';

/** What every table of sessions has had since the first release; one without them is somebody else's. */
const MARKS = ['handle', 'key', 'previousKey', 'absoluteExpiresAt'];

/**
 * Looks at the table as it stands in the database.
 *
 * @throws SessionOptionsError that says what is wrong, and what to write
 */
export function checkGround(connections: OwnConnections, metadata: EntityMetadata): Promise<void> {
  return connections.use(async (runner) => {
    const table = await runner.getTable(metadata.tablePath);
    const problem = table ? problemOf(metadata, table.columns) : missing(metadata);
    if (problem !== undefined) throw new SessionOptionsError([problem]);
    if (!isMySql(runner.connection.options.type)) return;
    const problems = await problemsOnMySql(runner, metadata);
    if (problems.length > 0) throw new SessionOptionsError(problems);
  });
}

function problemOf(metadata: EntityMetadata, there: readonly { name: string }[]): string | undefined {
  const names = there.map(({ name }) => name);
  const nameOf = (property: string) => metadata.findColumnWithPropertyName(property)!.databaseName;
  if (!MARKS.every((property) => names.includes(nameOf(property)))) return foreign(metadata, names);
  const lacking = metadata.columns
    .map(({ databaseName }) => databaseName)
    .filter((name) => !names.includes(name));
  return lacking.length > 0
    ? `the table ${metadata.tablePath} lacks the columns ${lacking.join(', ')}: ${upgrade(metadata)}`
    : undefined;
}

function missing(metadata: EntityMetadata): string {
  const { tablePath } = metadata;
  return (
    `there is no table ${tablePath} for ${metadata.name}: add \`migrations: [${migrationOf(metadata, 'create')}]\` from ` +
    'nest-session/typeorm to the data source and run them (`migrationsRun: true`, or `npx typeorm migration:run`), or ' +
    'set `synchronize: true` in development.'
  );
}

function upgrade(metadata: EntityMetadata): string {
  return `an earlier release made it. Add \`${migrationOf(metadata, 'upgrade')}\` from nest-session/typeorm to your migrations, and run them.`;
}

function foreign({ tablePath }: EntityMetadata, columns: readonly string[]): string {
  return (
    `the table ${tablePath} is not one of nest-session's: it has the columns ${columns.join(', ')} (connect-pg-simple makes ` +
    `one of this name). Give the sessions a table of another name, ${SUBCLASS_EXAMPLE}.`
  );
}

function migrationOf({ tableNameWithoutPrefix: table }: EntityMetadata, step: 'create' | 'upgrade'): string {
  if (table === 'session')
    return step === 'create' ? 'CreateSessionTable1764000000000' : 'UpgradeSessionTable1795824000000';
  return `class extends ${step}SessionTable('${table}', …) {}`;
}

async function problemsOnMySql(runner: QueryRunner, metadata: EntityMetadata): Promise<string[]> {
  const column = metadata.findColumnWithPropertyName('userId')!.databaseName;
  const statement = `
    SELECT @@sql_mode AS mode, (
      SELECT COLLATION_NAME FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ? AND COLUMN_NAME = ?
    ) AS collation`;
  const parameters = [metadata.database ?? null, metadata.tableName, column];
  const [{ mode, collation }] = (await runner.query(statement, parameters)) as [
    { mode: string; collation: string | null },
  ];
  const problems: string[] = [];
  if (collation?.endsWith('_bin') === false)
    problems.push(
      `the table ${metadata.tablePath} takes user ids that differ in case or accents for one: ${upgrade(metadata)}`,
    );
  // In this mode a quote that mysql2 has escaped by a backslash ends the text: values of visitors would be SQL.
  if (mode.split(',').includes('NO_BACKSLASH_ESCAPES'))
    problems.push(
      'the server has the sql_mode NO_BACKSLASH_ESCAPES, for which mysql2 escapes values wrongly: take it out of the mode.',
    );
  if (await logsStatements(runner))
    problems.push(
      'the server has binlog_format STATEMENT, with which it refuses what clears sessions and what waits for a row: set it to ' +
        'MIXED or ROW.',
    );
  return problems;
}

/** Its binary log takes no transaction that is READ COMMITTED then. */
async function logsStatements(runner: QueryRunner): Promise<boolean> {
  const statement = "SHOW VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format')";
  const rows = (await runner.query(statement)) as { Variable_name: string; Value: string }[];
  const settings = new Map(rows.map((row) => [row.Variable_name, row.Value.toUpperCase()]));
  return settings.get('log_bin') === 'ON' && settings.get('binlog_format') === 'STATEMENT';
}
