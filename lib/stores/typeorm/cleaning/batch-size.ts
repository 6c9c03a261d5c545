/** Databases and drivers take so many parameters in one statement, and more: 32,766 on SQLite. */
const MAX_BATCH = 10_000;

export interface BatchLimits {
  /** Size of the first batch, of which nobody knows how long it takes. */
  readonly first: number;
  /** With fewer rows it is the commit that takes the time, or others who hold the locks. */
  readonly min: number;
  readonly targetMs: number;
}

/**
 * How many rows (or pages) the next batch has: as many as take the time that a batch may take, and never more than asked
 * for.
 */
export class BatchSize {
  readonly max: number;
  readonly #min: number;
  readonly #targetMs: number;
  #rows: number;

  /** @param max what the caller asked for */
  constructor(max: number, { first, min, targetMs }: BatchLimits) {
    this.max = Math.max(1, Math.min(max, MAX_BATCH));
    this.#min = Math.min(min, this.max);
    this.#targetMs = targetMs;
    this.#rows = Math.min(first, this.max);
  }

  get rows(): number {
    return this.#rows;
  }

  get isSmallest(): boolean {
    return this.#rows === this.#min;
  }

  /** @param milliseconds what a full batch took */
  adapt(milliseconds: number): void {
    const fitting = Math.floor((this.#rows * this.#targetMs) / milliseconds);
    // A single batch may have met a stall, or a warm cache: it grows step by step.
    this.#rows = Math.max(this.#min, Math.min(fitting, 2 * this.#rows, this.max));
  }

  minimize(): void {
    this.#rows = this.#min;
  }

  halve(): void {
    this.#rows = Math.max(this.#min, Math.floor(this.#rows / 2));
  }
}
