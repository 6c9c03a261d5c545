import 'reflect-metadata';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource } from 'typeorm';
import { entityFor } from './databases.js';

/** Hands on how long each statement took, as the process that sent it saw it: by the driver, for session statements have no log. */
function timeStatements({ driver }, note) {
  const create = driver.createQueryRunner;
  const timed = new WeakSet();
  driver.createQueryRunner = function (mode) {
    const runner = create.call(this, mode);
    if (timed.has(runner)) return runner; // SQLite has one for all
    timed.add(runner);
    const query = runner.query.bind(runner);
    runner.query = async (statement, ...more) => {
      const start = performance.now();
      const result = await query(statement, ...more);
      const milliseconds = performance.now() - start;
      if (milliseconds >= 1) note(milliseconds, statement);
      return result;
    };
    return runner;
  };
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
  }).initialize();
  timeStatements(dataSource, note);
  return { store: new TypeOrmSessionStore(dataSource, { entity }), close: () => dataSource.destroy() };
}
