import 'reflect-metadata';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource } from 'typeorm';
import { entityFor } from './databases.js';

/** Hands on how long each statement took, as the process that sent it saw it. */
class StatementTimes {
  constructor(note) {
    this.logQuerySlow = (milliseconds, statement) => note(milliseconds, statement);
  }
  logQuery() {}
  logQueryError() {}
  logSchemaBuild() {}
  logMigration() {}
  log() {}
}

/**
 * A store on connections of its own.
 *
 * @param note gets milliseconds and text of every statement that took a millisecond or more
 */
export async function connect(options, poolSize, note) {
  const entity = entityFor(options);
  const dataSource = await new DataSource({
    ...options,
    entities: [entity],
    ...(options.type !== 'better-sqlite3' && { poolSize }),
    maxQueryExecutionTime: 1,
    logger: new StatementTimes(note),
  }).initialize();
  return { store: new TypeOrmSessionStore(dataSource, { entity }), close: () => dataSource.destroy() };
}
