import { DataSource, type Logger, type QueryRunner } from 'typeorm';

/** A logger of the application prints the parameters of a statement that failed or was slow: keys, handles and values. */
const SILENT: Logger = {
  logQuery: () => undefined,
  logQueryError: () => undefined,
  logQuerySlow: () => undefined,
  logSchemaBuild: () => undefined,
  logMigration: () => undefined,
  log: () => undefined,
};

/**
 * The data source's connections as session statements use them: to the primary, each statement on one of its own, past the
 * application's transactions, query cache, logger and subscribers.
 *
 * A replica may not know yet that a session has ended; a cached row is one that a save was lost from; and what is written in
 * somebody's transaction is undone with it, after a visitor was told that they are logged out. Libraries that find the
 * transaction in hand by themselves (typeorm-transactional) replace methods of the data source, so that none of those that
 * stand on the object itself is used here.
 */
export class OwnConnections {
  readonly #dataSource: DataSource;

  constructor(application: DataSource) {
    this.#dataSource = quietViewOf(application);
  }

  /** Runs statements on one connection to the primary, which then goes back to the pool. */
  async use<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const runner = this.#dataSource.createQueryRunner('master');
    try {
      return await work(runner);
    } finally {
      await runner.release();
    }
  }

  /** As {@link use}, in a transaction that sees what others have committed meanwhile. Not for SQLite: it has one connection. */
  transaction<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    return this.use(async (runner) => {
      await runner.startTransaction('READ COMMITTED');
      try {
        const result = await work(runner);
        await runner.commitTransaction();
        return result;
      } catch (error) {
        // What went wrong first is what counts, also where the connection is gone.
        await runner.rollbackTransaction().catch(() => undefined);
        throw error;
      }
    });
  }
}

/** The application's data source, with the same pool, metadata and driver, and nothing of the application's around them. */
function quietViewOf(application: DataSource): DataSource {
  const quiet = Object.create(application) as DataSource;
  const own = (target: object, values: Record<string, unknown>) => {
    // Defined and not assigned: a patched data source has setters for some of them.
    for (const [name, value] of Object.entries(values))
      Object.defineProperty(target, name, { value, writable: true, configurable: true });
  };
  const driver = Object.create(application.driver) as object;
  // TypeORM 0.3 calls it `connection`. On SQLite a driver keeps one runner; the application's has its transaction.
  own(driver, { dataSource: quiet, connection: quiet, queryRunner: undefined });
  const { createQueryRunner, createQueryBuilder, createEntityManager } = DataSource.prototype;
  own(quiet, {
    driver,
    logger: SILENT,
    subscribers: [],
    queryResultCache: undefined,
    options: { ...application.options, cache: undefined, maxQueryExecutionTime: undefined },
    createQueryRunner,
    createQueryBuilder,
    createEntityManager,
  });
  own(quiet, { manager: quiet.createEntityManager() });
  return quiet;
}
