import { EventEmitter, once } from 'node:events';
import type { DataSource, QueryRunner } from 'typeorm';

/**
 * Notes the SQL of everything that a data source runs, by its driver: session statements do not come to its logger.
 */
export class StatementLog {
  statements: string[] = [];
  readonly failures: unknown[] = [];
  readonly #happened = new EventEmitter();
  readonly #watched = new WeakSet<QueryRunner>();

  constructor({ driver }: DataSource) {
    const create = driver.createQueryRunner;
    const watched = (runner: QueryRunner) => this.#watch(runner);
    driver.createQueryRunner = function (mode) {
      return watched(create.call(this, mode));
    };
  }

  /** The first words of what `work` ran. */
  async during(work: () => Promise<unknown>): Promise<string[]> {
    this.statements = [];
    await work();
    return this.statements.map((statement) => statement.split(' ')[0]);
  }

  /** Resolves when so many statements have failed. */
  async failed(count: number): Promise<void> {
    while (this.failures.length < count) await once(this.#happened, 'failure');
  }

  #watch(runner: QueryRunner): QueryRunner {
    if (this.#watched.has(runner)) return runner; // SQLite has one for all
    this.#watched.add(runner);
    const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
    const noted = async (...args: unknown[]) => {
      this.statements.push(String(args[0]));
      try {
        return await query(...args);
      } catch (error) {
        this.failures.push((error as { driverError?: unknown }).driverError ?? error);
        this.#happened.emit('failure');
        throw error;
      }
    };
    return Object.assign(runner, { query: noted });
  }
}
