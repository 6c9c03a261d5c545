import type { DataSource } from 'typeorm';

export function isSqlite(dataSource: DataSource): boolean {
  return dataSource.options.type === 'better-sqlite3';
}

/**
 * Waits until the application has no transaction open on SQLite, where a data source has a single connection: what a
 * session writes meanwhile would be part of that transaction, and a rollback would bring a logged-out session back.
 *
 * Other databases give each statement a connection of its own, and this returns at once.
 */
export async function applicationTransactionOver(dataSource: DataSource): Promise<void> {
  if (!isSqlite(dataSource)) return;
  const runner = dataSource.createQueryRunner(); // on SQLite always the same one
  while (runner.isTransactionActive) await nextTransactionEnd(dataSource);
}

const transactionEnds = new WeakMap<DataSource, Promise<void>>();

/** One subscriber for all that wait; it goes in a later microtask, for TypeORM is just iterating over the subscribers. */
function nextTransactionEnd(dataSource: DataSource): Promise<void> {
  const known = transactionEnds.get(dataSource);
  if (known) return known;

  const { promise, resolve } = withResolvers();
  const subscriber = { afterTransactionCommit: resolve, afterTransactionRollback: resolve };
  dataSource.subscribers.push(subscriber);
  const end = promise.then(() => {
    transactionEnds.delete(dataSource);
    dataSource.subscribers.splice(dataSource.subscribers.indexOf(subscriber), 1);
  });
  transactionEnds.set(dataSource, end);
  return end;
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((resolved) => (resolve = resolved));
  return { promise, resolve };
}
