import type { EpochMs } from '../core/clock.js';
import {
  applyChange,
  atomicChange,
  type SessionChange,
  type SessionRecord,
  type SessionTouch,
} from '../core/record.js';
import { Turns } from '../core/turns.js';

/** What became of a rename; `gone`: there is no such session (any more); `taken`: the new key names another one. */
export type RenameOutcome = 'renamed' | 'gone' | 'taken';

/** The value that an atomic update left behind, as text; undefined when it left none. */
export interface AtomicResult {
  readonly text: string | undefined;
}

/** A living session as a list shows it. */
export interface StoredSession {
  readonly key: string;
  readonly record: SessionRecord;
}

export interface DeleteExpiredOptions {
  /** [1000] At most so many sessions in one statement or transaction; a store may take fewer to hold nobody up. */
  readonly batchSize?: number;
  /** Ends the work after the batch in hand. */
  readonly signal?: AbortSignal;
  /**
   * Called after each batch with the number of sessions deleted so far. Where it returns a promise, the next batch waits
   * for that: so a caller makes pauses.
   */
  readonly onProgress?: (deleted: number) => unknown;
}

export interface FindByUserOptions {
  /** Only the session of this name. */
  readonly handle?: string;
  /** Names of the values that are needed; the other ones, and a mark that they are corrupt, may be missing. Undefined: all. */
  readonly values?: readonly string[];
}

export interface DeleteByUserOptions {
  /** A session that stays. */
  readonly exceptKey?: string;
  /** The same by its handle: it may have got a new key a moment ago, or get one while the others are ended. */
  readonly exceptHandle?: string;
  /** As for `delete`. */
  readonly tombstoneUntil?: EpochMs;
}

/** The store lacks this capability: it kept the default of an optional method. */
export class SessionStoreUnsupportedError extends Error {
  readonly code = 'SESSION_STORE_UNSUPPORTED';

  constructor(store: string, operation: string, why = 'implement it, or use a store that has it') {
    super(`${store} has no ${operation}(): ${why}.`);
    this.name = 'SessionStoreUnsupportedError';
  }
}

/** On a default that says only that there is no such method; stores of both builds of the package have it. */
const UNSUPPORTED: unique symbol = Symbol.for('nest-session.unsupported') as never;

/** Whether a store lacks a capability; asks the store itself, which may be of the other build of the package. */
export function lacks(store: SessionStore, method: 'findByUser' | 'deleteByUser' | 'count'): boolean {
  const own: unknown = store[method];
  return typeof own !== 'function' || UNSUPPORTED in own;
}

/**
 * Where sessions are kept: the contract, and the injection token.
 *
 * Four methods are enough for a store of your own: `load`, `create`, `save`, `delete`. The defaults of the others
 * keep every law but two: under concurrency, changes of parallel requests may be lost (law 4) unless `save` merges in
 * one step, and an old id may be unknown right after a cycle (law 6) unless tombstones are kept. Try yours with
 * `describeSessionStore` from `nest-session/testing`.
 *
 * For all methods: a `key` is 64 hex characters, the SHA-256 of the session's id. `false` and `undefined` are
 * answers, never a disguise for an error: a store that cannot do its work throws, and whatever it throws reaches the
 * client as a 503 without details. No method may answer later than it has to: the framework gives up after
 * `storeTimeout`, and what a late answer did is not undone.
 */
export abstract class SessionStore {
  readonly #turns = new Turns();
  /** Whether what expires leaves by itself, as in Redis: there is nothing to clean, and `deleteExpired` answers 0. */
  readonly expiresByItself: boolean = false;

  /**
   * Set by the framework. A store that deletes an expired session when `load` meets it tells of it here, once; of
   * tombstones never. Not for what leaves unseen, by a sweep or by itself.
   */
  onExpired: ((record: SessionRecord) => void) | undefined;

  /**
   * Finds a living session, or the tombstone of one.
   *
   * @returns the record, a tombstone (`record.gone`), or undefined: unknown or expired, the same to the caller
   */
  abstract load(key: string): Promise<SessionRecord | undefined>;

  /**
   * Stores a new session, or a tombstone with a successor. Insert, never update.
   *
   * @returns false when the key is taken, by a living session, an expired one or a tombstone; nothing is written then
   */
  abstract create(key: string, record: SessionRecord): Promise<boolean>;

  /**
   * Applies what one request did to the stored session, in one atomic step: {@link applyChange} on what is stored at
   * that moment. Update, never insert.
   *
   * @param loaded the record as the request has it: a hint that can spare a read, and nothing more. It may be older
   * than what is stored, or not come from this store at all; a store is free to ignore it, and so everywhere below
   * @returns false when there is no living session (logged out, expired, renamed); nothing is written then
   */
  abstract save(key: string, change: SessionChange, loaded?: SessionRecord): Promise<boolean>;

  /**
   * Ends a session at once.
   *
   * @param tombstoneUntil keep a tombstone (`gone: 'ended'`) until then, if the store can; without it, none
   * @returns false when there was no living session
   */
  abstract delete(key: string, tombstoneUntil?: EpochMs): Promise<boolean>;

  /**
   * Moves the deadline and nothing else.
   *
   * @returns false when there is no living session; true also when `touch.basedOn` is not the stored policy and
   * nothing was written
   */
  touch(key: string, touch: SessionTouch, loaded?: SessionRecord): Promise<boolean> {
    return this.save(key, { ...touch, set: {}, removed: [] }, loaded);
  }

  /**
   * Gives a session a new key, with a change applied in the same step (a cycle: new id, same data).
   *
   * @param tombstoneUntil keep a tombstone (`gone: 'renamed'`) under the old key until then, if the store can, with
   * `{ key: newKey, trail: change.trail }` as its `successor`: so a request with the old id can end the session, and a form
   * that is sent twice logs in once
   */
  async rename(
    key: string,
    newKey: string,
    change: SessionChange,
    tombstoneUntil?: EpochMs,
    _loaded?: SessionRecord,
  ): Promise<RenameOutcome> {
    const record = await this.load(key);
    if (!record || record.gone) return 'gone';
    if (!(await this.create(newKey, applyChange(record, change)))) return 'taken';
    if (await this.delete(key, tombstoneUntil)) return 'renamed';
    await this.delete(newKey); // it ended while it was copied: the copy must not outlive it
    return 'gone';
  }

  /**
   * Reads one value, lets `update` compute its successor and writes it, with nothing in between. The deadlines stay.
   *
   * The default is atomic within this process only.
   *
   * @param update gets the stored text (undefined: no such value) and returns the new one (undefined: remove it);
   * synchronous; may be called again with a newer text when a parallel request was faster
   * @returns undefined when there is no living session; nothing is written then
   */
  async atomic(
    key: string,
    name: string,
    update: (text: string | undefined) => string | undefined,
  ): Promise<AtomicResult | undefined> {
    return this.#turns.take(key, async () => {
      const record = await this.load(key);
      if (!record || record.gone) return undefined;
      const { change, text } = atomicChange(record, name, update);
      return (await this.save(key, change)) ? { text } : undefined;
    });
  }

  /**
   * Deletes sessions and tombstones that are over, in batches, and holds up nobody meanwhile. Records of a newer format
   * stay. What ends while it works may stay for the next time.
   *
   * Several processes may call it at once: they share the work or do it twice, and none fails.
   *
   * @returns how many sessions were deleted (tombstones not counted), also when `signal` ended the work before its time
   * @example
   * const stop = AbortSignal.timeout(60_000);
   * await store.deleteExpired({ signal: stop, onProgress: (deleted) => console.log(deleted) });
   */
  deleteExpired(_options?: DeleteExpiredOptions): Promise<number> {
    return this.#nothingToClear('deleteExpired');
  }

  /** How many sessions `deleteExpired` would delete at this moment, tombstones not counted; 0 where they leave by themselves. */
  countExpired(): Promise<number> {
    return this.#nothingToClear('countExpired');
  }

  /**
   * The living sessions of a user.
   *
   * @param options what the caller needs of them: a user may have thousands, with large values. A store that gives more than
   * was asked for is right too
   */
  findByUser(_userId: string, _options?: FindByUserOptions): Promise<StoredSession[]> {
    return this.#unsupported('findByUser');
  }

  /**
   * Ends all sessions of a user at once.
   *
   * @returns how many sessions ended
   */
  deleteByUser(_userId: string, _options?: DeleteByUserOptions): Promise<number> {
    return this.#unsupported('deleteByUser');
  }

  /** How many living sessions there are. */
  count(): Promise<number> {
    return this.#unsupported('count');
  }

  /** Asks the server for a sign of life; throws when there is none. */
  async ping(): Promise<void> {
    await this.load('0'.repeat(64));
  }

  /**
   * Releases what the store itself opened; what it was given stays open. Called at the shutdown, after the last request has
   * committed: a connection that another module owns may be closed already.
   */
  async close(): Promise<void> {}

  static {
    for (const method of ['findByUser', 'deleteByUser', 'count'] as const)
      Object.defineProperty(SessionStore.prototype[method], UNSUPPORTED, { value: true });
  }

  #nothingToClear(operation: string): Promise<number> {
    return this.expiresByItself ? Promise.resolve(0) : this.#unsupported(operation);
  }

  #unsupported(operation: string): Promise<never> {
    return Promise.reject(new SessionStoreUnsupportedError(this.constructor.name, operation));
  }
}
