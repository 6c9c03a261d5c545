import { wasCancelled } from '../driver-errors.js';
import { BatchSize } from './batch-size.js';
import type { Place, PostgresStatements } from './postgres-statements.js';
import { type Batch, type ExpiredBy, type Walk, WalkByDeadline } from './walk.js';

/** Longer than a batch takes, and shorter than an operator would notice. */
const MAX_STATEMENT_MS = 200;

/** To delete a row that lies anywhere took as long as to pass over so many pages where nothing is over: 21 and 5 µs. */
const PAGES_FOR_A_ROW = 4;

/** A page of 8 kB has about ten sessions. */
const PAGES = { first: 50, min: 5, targetMs: 100 };
const MAX_PAGES = 10_000;

/**
 * Clears on PostgreSQL, in one of two ways.
 *
 * It begins with the earliest deadlines, by their index: the cheap way where few of many sessions are over. Each row of it
 * lies on another page, which has to be read, and written whole to the log. Where so many are over that a pass over the
 * whole table costs less, it goes over to the order in which the rows lie: each page once, with all that is over in it.
 * Of a million scattered among as many, that cleared seven times as many a second (bench/cleaning.js).
 *
 * It also goes over where the index leads through entries of rows that were deleted before and that no VACUUM has removed
 * yet: hundreds of thousands of them after a large clearing, which would have to be passed in one statement.
 */
export class PostgresWalk implements Walk {
  readonly #statements: PostgresStatements;
  readonly #over: ExpiredBy;
  readonly #rows: BatchSize;
  readonly #byDeadline: WalkByDeadline;
  /** Of the table, at the beginning; undefined until asked; 0 where it does not tell the order of its rows. */
  #pages: number | undefined;
  #foundByDeadline = 0;
  #byPage: WalkByPage | undefined;

  constructor(statements: PostgresStatements, over: ExpiredBy, rows: BatchSize) {
    this.#statements = statements;
    this.#over = over;
    this.#rows = rows;
    this.#byDeadline = new WalkByDeadline(over, rows, (range, limit) =>
      statements.deleteByDeadline(range, limit, this.#pages ? MAX_STATEMENT_MS : undefined),
    );
  }

  async next(): Promise<Batch> {
    this.#pages ??= await this.#statements.countPages();
    return this.#byPage ? this.#byPage.next() : this.#nextByDeadline(this.#pages);
  }

  async #nextByDeadline(pages: number): Promise<Batch> {
    try {
      const batch = await this.#byDeadline.next();
      this.#foundByDeadline += batch.found;
      if (this.#foundByDeadline * PAGES_FOR_A_ROW >= pages) this.#goByPage(pages);
      return batch;
    } catch (error) {
      if (pages === 0 || !wasCancelled(error)) throw error;
      if (this.#rows.isSmallest) this.#goByPage(pages);
      else this.#rows.minimize();
      return { found: 0, sessions: 0, isLast: false };
    }
  }

  #goByPage(pages: number): void {
    if (pages > 0) this.#byPage = new WalkByPage(this.#statements, this.#over, pages, this.#rows.max);
  }
}

/** In the order in which the rows lie. Rows that are added meanwhile are not over. */
class WalkByPage implements Walk {
  readonly #size = new BatchSize(MAX_PAGES, PAGES);
  #after: Place = { page: 0, row: 0 };

  constructor(
    private readonly statements: PostgresStatements,
    private readonly over: ExpiredBy,
    private readonly pages: number,
    private readonly maxRows: number,
  ) {}

  async next(): Promise<Batch> {
    const end = Math.min(this.#after.page + this.#size.rows, this.pages);
    const start = performance.now();
    const batch = await this.statements.deleteByPlace(this.#after, end, this.over, this.maxRows);
    const isFull = batch.found === this.maxRows;
    if (isFull) this.#size.halve();
    else this.#size.adapt(performance.now() - start);
    this.#after = isFull ? batch.last : { page: end, row: 0 };
    return { ...batch, isLast: !isFull && end >= this.pages };
  }
}
