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

const waiting = new WeakMap<DataSource, Promise<void>>();

function nextTransactionEnd(dataSource: DataSource): Promise<void> {
  let end = waiting.get(dataSource);
  if (!end) {
    end = new Promise<void>((resolve) => {
      const ended = () => {
        waiting.delete(dataSource);
        dataSource.subscribers.splice(dataSource.subscribers.indexOf(subscriber), 1);
        resolve();
      };
      const subscriber = { afterTransactionCommit: ended, afterTransactionRollback: ended };
      dataSource.subscribers.push(subscriber);
    });
    waiting.set(dataSource, end);
  }
  return end;
}
