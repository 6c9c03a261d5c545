import { randomUUID } from 'node:crypto';
import type { EpochMs, SessionClock } from '../../core/clock.js';
import { RECORD_FORMAT, type SessionRecord } from '../../core/record.js';
import { CacheOutage } from './cache-outage.js';
import { readRecord, writeRecord } from './record-text.js';
import type { StrictCache } from './strict-cache.js';
import { within } from './within.js';

export interface RecordCacheOptions {
  readonly prefix: string;
  readonly maxAgeMs: number;
  readonly timeoutMs: number;
}

/** Under which mark, and since when, a request asks the base. */
export interface Refill {
  readonly mark: string;
  readonly beganAt: EpochMs;
}

/** The record; or how to keep what the base says; or neither, while the cache is not to be used. */
export interface Found {
  readonly record?: SessionRecord;
  readonly refill?: Refill;
}

/**
 * Copies of records, which are never served once a change of the base was acknowledged.
 *
 * The danger is a slow load: it reads the base, somebody ends the session, and then the copy is written. Caches know no
 * compare-and-swap and no «set if absent» that could refuse it, and clocks of several machines can't tell which came
 * first. So each load leaves a mark, a random text in a key of its own, BEFORE it asks the base, and writes the mark into
 * its copy; whoever has changed the base deletes the mark AFTERWARDS, before the change is acknowledged. A copy counts
 * only while its own mark stands:
 *
 * - A load that began before a change set its mark before it read the base, and thus before the mark was deleted. Its
 *   copy may come as late as it likes: its mark is gone, and nobody writes that text again.
 * - A load that begins after the change is acknowledged finds no mark that counts, asks the base, and sees the change.
 * - Two loads at once: the later mark wins, the other's copy is a miss. A mark or a copy that is evicted is a miss.
 *
 * This holds between any number of processes, as long as the cache does one thing after another for a key. It does not
 * hold where it takes back what it has acknowledged (a replica that is promised too early, a restart from an older
 * snapshot), nor where the change can't be told to it. What bounds these is `maxAge`: so long after its load began, by the
 * clocks of the two machines, no copy counts any more.
 */
export class RecordCache {
  readonly #outage: CacheOutage;

  constructor(
    private readonly cache: StrictCache,
    private readonly options: RecordCacheOptions,
    private readonly clock: SessionClock,
  ) {
    const removeCopy = (key: string) => this.#ask(() => cache.delete(this.#markOf(key), this.#copyOf(key)));
    const isThere = () => this.#ask(() => cache.get(`${options.prefix}ping`));
    // Twice as long, for the clock that a copy is judged by may be another machine's.
    this.#outage = new CacheOutage(removeCopy, isThere, options.maxAgeMs * 2, clock);
  }

  /** One round trip when the record is there. Never throws: without the cache there is the base. */
  async find(key: string): Promise<Found> {
    if (!this.#outage.mayUse(key)) return {};
    try {
      const [copy, mark] = await this.#ask(() => this.cache.getMany([this.#copyOf(key), this.#markOf(key)]));
      const record = this.#read(copy, mark);
      return record ? { record } : { refill: await this.#begin(key) };
    } catch (error) {
      this.#outage.began(error);
      return {};
    }
  }

  /** Keeps what the base answered. Never throws. */
  async keep(key: string, record: SessionRecord, { mark, beganAt }: Refill): Promise<void> {
    // A newer release's record lacks its values here, and a dead one is not asked for often.
    if (record.gone || record.corrupt || record.format > RECORD_FORMAT) return;
    const leftMs = this.options.maxAgeMs - (this.clock.now() - beganAt);
    if (leftMs <= 0) return;
    const copy = `${mark} ${beganAt} ${writeRecord(record)}`;
    try {
      await this.#ask(() => this.cache.set(this.#copyOf(key), copy, leftMs));
    } catch (error) {
      this.#outage.warn(error); // this copy alone, perhaps: too large for the cache
    }
  }

  /** Says that the base has changed, or may have. Never throws: what can't be said now is said later. */
  forget(key: string): Promise<void> {
    return this.#outage.remove(key);
  }

  close(): void {
    this.#outage.close();
  }

  /** Always a new mark: to write one again that somebody else left would give life to copies that are dead. */
  async #begin(key: string): Promise<Refill> {
    const mark = randomUUID();
    await this.#ask(() => this.cache.set(this.#markOf(key), mark, this.options.maxAgeMs));
    return { mark, beganAt: this.clock.now() };
  }

  #read(copy: unknown, mark: unknown): SessionRecord | undefined {
    if (typeof copy !== 'string' || typeof mark !== 'string' || !copy.startsWith(`${mark} `))
      return undefined;
    const [beganAt, text] = halves(copy.slice(mark.length + 1));
    const ageMs = Math.abs(this.clock.now() - Number(beganAt)); // one from the future has a clock that is wrong
    if (!(ageMs < this.options.maxAgeMs)) return undefined;
    const record = readRecord(text);
    if (!record || record.corrupt || record.format > RECORD_FORMAT) return undefined;
    return record.expiresAt > this.clock.now() ? record : undefined;
  }

  #ask<T>(command: () => Promise<T>): Promise<T> {
    return within(this.options.timeoutMs, command);
  }

  // Braces: in a Redis Cluster both keys lie in one slot, and are read in one round trip.
  #copyOf(key: string): string {
    return `${this.options.prefix}{${key}}`;
  }

  #markOf(key: string): string {
    return `${this.options.prefix}{${key}}:mark`;
  }
}

function halves(text: string): [string, string] {
  const end = text.indexOf(' ');
  return [text.slice(0, end), text.slice(end + 1)];
}
