import type { Cache } from 'cache-manager';
import { SessionOptionsError } from '../../errors.js';
import { OneAtATime } from './one-at-a-time.js';

/** The token of `@nestjs/cache-manager`, written out: a cache that is made by hand needs no such package. */
export const CACHE_MANAGER = 'CACHE_MANAGER';

type Keyv = Cache['stores'][number];

/** What Keyv asks of an adapter; a `Map` is one. */
interface Adapter {
  get(key: string): unknown;
  getMany?(keys: string[]): unknown;
  set(key: string, value: unknown, ttlMs?: number): unknown;
  delete(key: string): unknown;
  on?(event: 'error', listener: (error: unknown) => void): unknown;
  disconnect?(): unknown;
  readonly opts?: { readonly dialect?: unknown };
  /** A `Cacheable` has a second tier. */
  readonly secondary?: unknown;
}

/** Adapters whose server never deletes what is over: Keyv passes over it when it is asked for, and that is all. */
const WITHOUT_EXPIRY: readonly unknown[] = ['sqlite', 'postgres', 'mysql'];

/** One for each Keyv, however many stores use it: who shares the data also waits for each other's turn. */
const opened = new WeakMap<Keyv, StrictCache>();

/**
 * A cache whose failures are failures. cache-manager and Keyv, each in its way, answer «not there» when a server can't
 * be asked, and a cache that is `nonBlocking` answers before anything was written. So this asks the adapter itself, in
 * Keyv's name: with its namespace, its serialisation and its compression. What an adapter swallows and only emits as an
 * error, as `@keyv/redis` does, fails the questions that were open at that moment.
 */
export class StrictCache {
  /** Updates wait here for their turn, for a cache knows no compare-and-swap. */
  readonly turns = new OneAtATime();
  readonly #keyv: Keyv;
  #swallowed: { readonly error: unknown } | undefined;

  /**
   * @param whose the store that wants it, for the message
   * @throws SessionOptionsError for a cache of several tiers
   */
  static of(cache: Cache, whose: string): StrictCache {
    const keyv = onlyStoreOf(cache, whose);
    const known = opened.get(keyv) ?? new StrictCache(keyv);
    opened.set(keyv, known);
    return known;
  }

  private constructor(keyv: Keyv) {
    this.#keyv = keyv;
    this.#adapter.on?.('error', (error) => (this.#swallowed = { error }));
  }

  /** Whether the data lies in this process: then there is nothing to disconnect from. */
  get isInProcess(): boolean {
    return typeof this.#adapter.disconnect !== 'function';
  }

  /** Whether what is over leaves by itself; in a table of a database it stays. */
  get expires(): boolean {
    return !WITHOUT_EXPIRY.includes(this.#adapter.opts?.dialect);
  }

  /** @returns undefined when there is none, or none that Keyv can read */
  get(key: string): Promise<unknown> {
    return this.#strictly(async () => this.#decode(await this.#adapter.get(this.#named(key))));
  }

  /** In one round trip, where the adapter can. */
  getMany(keys: readonly string[]): Promise<unknown[]> {
    return this.#strictly(async () => {
      const names = keys.map((key) => this.#named(key));
      const found = this.#adapter.getMany
        ? ((await this.#adapter.getMany(names)) as unknown[])
        : await Promise.all(names.map(async (name) => this.#adapter.get(name)));
      return Promise.all(keys.map((_, index) => this.#decode(found[index])));
    });
  }

  /** @param ttlMs more than 0; the cache's own default counts for nothing */
  async set(key: string, text: string, ttlMs: number): Promise<void> {
    const entry = await this.#encode({ value: text, expires: Date.now() + ttlMs });
    const answer = await this.#strictly(async () => this.#adapter.set(this.#named(key), entry, ttlMs));
    if (answer === false) throw new Error('The cache did not take the entry.');
  }

  async delete(...keys: readonly string[]): Promise<void> {
    await this.#strictly(() => Promise.all(keys.map(async (key) => this.#adapter.delete(this.#named(key)))));
  }

  get #adapter(): Adapter {
    return this.#keyv.store as Adapter;
  }

  async #strictly<T>(ask: () => Promise<T>): Promise<T> {
    const before = this.#swallowed;
    const answer = await ask();
    if (this.#swallowed && this.#swallowed !== before) throw this.#swallowed.error;
    return answer;
  }

  #named(key: string): string {
    const { namespace, useKeyPrefix } = this.#keyv;
    return namespace && useKeyPrefix ? `${namespace}:${key}` : key;
  }

  async #encode(entry: { value: unknown; expires: number }): Promise<unknown> {
    const { compression } = this.#keyv;
    const value: unknown = compression ? await compression.compress(entry.value) : entry.value;
    return this.#keyv.serialize ? this.#keyv.serialize({ ...entry, value }) : { ...entry, value };
  }

  async #decode(entry: unknown): Promise<unknown> {
    const { compression } = this.#keyv;
    try {
      const read = typeof entry === 'string' ? await this.#keyv.deserialize?.(entry) : entry;
      const { value } = Object(read) as { value?: unknown };
      return value !== undefined && compression ? await compression.decompress(value) : value;
    } catch {
      return undefined; // what nobody can read is not there
    }
  }
}

function onlyStoreOf(cache: Cache, whose: string): Keyv {
  const stores = cache?.stores ?? [];
  const adapter = stores[0]?.store as Adapter | undefined;
  if (stores.length === 1 && adapter && !adapter.secondary) return stores[0];
  throw new SessionOptionsError([
    `${whose} needs a cache of exactly one Keyv store: a tier in the memory of each process goes on serving sessions ` +
      'that ended in another. Write CacheModule.register({ stores: [the shared one] }), under a token of its own if ' +
      'the application wants tiers elsewhere.',
  ]);
}
