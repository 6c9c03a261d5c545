import { pause } from '../../core/pause.js';

/**
 * What went wrong, by the driver's code: messages differ by version and language, and an error of better-sqlite3 in a
 * second Jest file is not even `instanceof Error`.
 */
const DUPLICATE: readonly unknown[] = [
  '23505', // PostgreSQL: unique_violation
  'ER_DUP_ENTRY',
  'SQLITE_CONSTRAINT_UNIQUE',
  'SQLITE_CONSTRAINT_PRIMARYKEY',
];

/** Two statements met, and this one was undone as a whole: it may be tried again. */
const LOST_TO_ANOTHER: readonly unknown[] = [
  '40P01', // PostgreSQL: deadlock_detected
  '40001', // PostgreSQL: serialization_failure
  'ER_LOCK_DEADLOCK',
  'ER_CHECKREAD', // MariaDB 11 with innodb_snapshot_isolation: the row has changed since it was read
  'SQLITE_BUSY',
  'SQLITE_BUSY_SNAPSHOT',
];

/** The connection broke under the statement: nobody knows whether a write was done, but a read may be asked again. */
const CONNECTION_LOST: readonly unknown[] = [
  '57P01', // PostgreSQL: admin_shutdown
  '57P02', // crash_shutdown
  '08003', // connection_does_not_exist
  '08006', // connection_failure
  'PROTOCOL_CONNECTION_LOST',
  'ER_CONNECTION_KILLED',
  'ER_SERVER_SHUTDOWN',
  'ECONNRESET',
  'EPIPE',
];

const MAX_READS_AGAIN = 2;
const READ_AGAIN_AFTER_MS = 10;

const MAX_TRIES = 20;
/** Who lost waits for a random time, twice as long each time: two that begin again at once meet again. */
const MAX_WAIT_MS = 50;

/** PostgreSQL: query_canceled, by a time limit or by an operator. */
const CANCELLED = '57014';

/** The statement would have given two rows one key. */
export function isDuplicate(error: unknown): boolean {
  return DUPLICATE.includes(codeOf(error));
}

export function wasCancelled(error: unknown): boolean {
  return codeOf(error) === CANCELLED;
}

/**
 * Runs one statement, or one transaction, again when the database undid it in favour of another.
 *
 * @throws the driver's error, without the query and its parameters: those are keys and values
 */
export async function repeatWhenUndone<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === MAX_TRIES || !LOST_TO_ANOTHER.includes(codeOf(error))) throw withoutParameters(error);
      await pause(Math.random() * Math.min(2 ** tries, MAX_WAIT_MS));
    }
  }
}

/**
 * Asks again, on another connection, for what was being read when the connection broke: behind a proxy, a fail-over or a
 * restart an idle connection of the pool may be dead without anybody having noticed.
 *
 * @throws as {@link repeatWhenUndone}
 */
export async function readAgainWhenBroken<T>(read: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await repeatWhenUndone(read);
    } catch (error) {
      if (tries > MAX_READS_AGAIN || !isConnectionLost(error)) throw error;
      await pause(READ_AGAIN_AFTER_MS); // node-postgres may give the same one out before it has seen its end
    }
  }
}

function isConnectionLost(error: unknown): boolean {
  // node-postgres has no code for it.
  const { message } = Object(error) as { message?: unknown };
  return CONNECTION_LOST.includes(codeOf(error)) || String(message).startsWith('Connection terminated');
}

function codeOf(error: unknown): unknown {
  const { driverError, code } = Object(error) as { driverError?: { code?: unknown }; code?: unknown };
  return driverError?.code ?? code;
}

/** Where they keep what they were sent: TypeORM, mysql2 (with the parameters filled in), PostgreSQL. */
const TELLTALE = ['query', 'parameters', 'sql', 'sqlMessage', 'detail', 'where', 'internalQuery'];

function withoutParameters(error: unknown): unknown {
  const { driverError } = Object(error) as { driverError?: object };
  if (driverError === undefined) return error; // none of TypeORM's: what the caller's own code threw stays as it is
  for (const property of TELLTALE) {
    Reflect.deleteProperty(error as object, property);
    Reflect.deleteProperty(driverError, property);
  }
  return error;
}
