import { Logger } from '@nestjs/common';
import type { EpochMs, SessionClock } from '../../core/clock.js';
import { SessionStoreException } from '../../errors.js';

/** So long after a failure the cache is tried again. */
const RETRY_MS = 500;

/**
 * What is to be done while a cache does not answer: leave it alone, remember which copies it should have lost, and
 * tell it as soon as it is back, before anything is read from it.
 */
export class CacheOutage {
  readonly #logger = new Logger('Session');
  /** Keys whose copy may still be there although the base has changed, and until when it would count. */
  readonly #owed = new Map<string, { readonly until: EpochMs }>();
  #isAway = false;
  #hasWarned = false;
  #isClosed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly removeCopy: (key: string) => Promise<unknown>,
    private readonly isThere: () => Promise<unknown>,
    private readonly rememberMs: number,
    private readonly clock: SessionClock,
  ) {}

  /** Whether what the cache says about this key is to be believed. */
  mayUse(key: string): boolean {
    return !this.#isAway && !this.#owed.has(key);
  }

  /** Removes a copy from the cache: now, or else when the cache is back. */
  async remove(key: string): Promise<void> {
    if (!this.#isAway) {
      try {
        return await this.#pay(key);
      } catch (error) {
        this.began(error);
      }
    }
    this.#owed.delete(key); // the latest last, so that the oldest are found first
    this.#owed.set(key, { until: this.clock.now() + this.rememberMs });
  }

  began(error: unknown): void {
    this.warn(error);
    this.#isAway = true;
    this.#retryLater();
  }

  /** Once, until the cache has been away and works again. The error may hold keys and values: they are taken out. */
  warn(error: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { cause } = new SessionStoreException('load', error);
    this.#logger.warn(`The sessions' cache fails, the store behind it is asked instead: ${String(cause)}`);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
  }

  async #pay(key: string): Promise<void> {
    const debt = this.#owed.get(key);
    await this.removeCopy(key);
    // A change that was made meanwhile, and could not be told, has a debt of its own.
    if (this.#owed.get(key) === debt) this.#owed.delete(key);
  }

  #retryLater(): void {
    if (this.#isClosed || this.#retry) return;
    this.#retry = setTimeout(() => void this.#comeBack(), RETRY_MS);
    this.#retry.unref();
  }

  async #comeBack(): Promise<void> {
    this.#retry = undefined;
    this.#dropTheOver();
    try {
      await this.isThere();
      this.#isAway = false; // from here on requests pay at once, so that what is owed only gets less
      for (const key of this.#owed.keys()) await this.#pay(key);
      if (this.#hasWarned) this.#logger.log("The sessions' cache works again.");
      this.#hasWarned = false;
    } catch (error) {
      this.began(error);
    }
  }

  #dropTheOver(): void {
    for (const [key, { until }] of this.#owed) {
      if (until > this.clock.now()) return;
      this.#owed.delete(key);
    }
  }
}
