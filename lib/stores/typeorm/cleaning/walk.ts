import type { EpochMs } from '../../../core/clock.js';
import type { BatchSize } from './batch-size.js';

/** What one batch did. */
export interface Batch {
  /** Rows, tombstones too. */
  readonly found: number;
  /** How many sessions were deleted. */
  readonly sessions: number;
  readonly isLast: boolean;
}

/** A way through the rows that are over: each call deletes some of them, and none is met twice. */
export interface Walk {
  next(): Promise<Batch>;
}

/** Rows whose deadline is not later than `now`; those of a newer format are left out. */
export interface ExpiredBy {
  readonly now: EpochMs;
  readonly format: number;
}

/** Of them those whose deadline is `oldest` or later. */
export interface ExpiredRange extends ExpiredBy {
  readonly oldest: EpochMs;
}

/** What became of up to so many rows of a range. */
export interface DeletedRows {
  readonly found: number;
  readonly sessions: number;
  /** The last deadline that was found. */
  readonly latest: EpochMs;
}

/**
 * From the earliest deadline to the latest.
 *
 * Each batch goes on where the last one ended. The index on `expiresAt` keeps entries of deleted rows until the database
 * cleans up behind itself, so that a batch which began at the beginning would have to pass over more of them each time.
 */
export class WalkByDeadline implements Walk {
  readonly #size: BatchSize;
  readonly #deleteRows: (range: ExpiredRange, limit: number) => Promise<DeletedRows>;
  #range: ExpiredRange;

  constructor(
    over: ExpiredBy,
    size: BatchSize,
    deleteRows: (range: ExpiredRange, limit: number) => Promise<DeletedRows>,
  ) {
    this.#range = { oldest: 0, ...over };
    this.#size = size;
    this.#deleteRows = deleteRows;
  }

  async next(): Promise<Batch> {
    const { rows } = this.#size;
    const start = performance.now();
    const { found, sessions, latest } = await this.#deleteRows(this.#range, rows);
    if (found < rows) return { found, sessions, isLast: true };
    this.#size.adapt(performance.now() - start);
    this.#range = { ...this.#range, oldest: latest };
    return { found, sessions, isLast: false };
  }
}
