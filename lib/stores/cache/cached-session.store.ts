import {
  Inject,
  Injectable,
  Logger,
  type ModuleMetadata,
  type OnModuleInit,
  Optional,
  type Type,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { Cache } from 'cache-manager';
import { type EpochMs, SessionClock, systemClock } from '../../core/clock.js';
import { type Duration, durationMs } from '../../core/duration.js';
import type { SessionChange, SessionRecord, SessionTouch } from '../../core/record.js';
import { SessionOptionsError } from '../../errors.js';
import { calledAs } from '../called-as.js';
import {
  type AtomicResult,
  type DeleteByUserOptions,
  type DeleteExpiredOptions,
  type FindByUserOptions,
  type RenameOutcome,
  SessionStore,
  type StoredSession,
} from '../session-store.js';
import { RecordCache } from './record-cache.js';
import { CACHE_MANAGER, StrictCache } from './strict-cache.js';

export interface CachedSessionOptions {
  /** ['nest-session:'] What the keys in the cache begin with. */
  prefix?: string;
  /** ['60s'] No copy is served that is older than this. It bounds what a cache that forgets or can't be told may do. */
  maxAge?: Duration;
  /** ['500ms'] So long a command of the cache may take; then the base is asked, and the cache left alone for a while. */
  cacheTimeout?: Duration;
  /** [false] No other process uses these sessions: a cache in this process's memory is not warned of. */
  singleProcess?: boolean;
}

/** A store class, as `store:` of the session module takes it. */
type BaseStoreClass = Type<SessionStore> & { sessionImports?(): NonNullable<ModuleMetadata['imports']> };

/** Options of a store that Nest makes. */
export interface CachedSessionStoreOptions extends CachedSessionOptions {
  /** The store behind the cache: `TypeOrmSessionStore`, or what its `with()` makes. */
  base: BaseStoreClass;
  /** [CACHE_MANAGER] The injection token of the cache. */
  cache?: string | symbol | Type;
  /** Modules that export that token, if they are not global. */
  imports?: ModuleMetadata['imports'];
}

/** What {@link CachedSessionStore.with} makes: a store class that the session module binds. */
export interface CachedSessionStoreClass extends Type<CachedSessionStore> {
  sessionImports(): NonNullable<ModuleMetadata['imports']>;
}

/**
 * Another store behind a cache (Django's cached_db): reads come from the cache, in one round trip and without a query;
 * writes go to the base, and make the cache forget. All laws are the base's: it alone decides what is saved, renamed and
 * ended. A session that has ended is not served from the cache, nor a value that has been replaced, whatever processes do
 * at once: `RecordCache` tells why. A cache that is down is a slower store and one warning.
 *
 * The one bound: when a process can't tell the cache that a session has ended, because its own connection is down, a
 * process that still reaches the cache may serve that session until the first is connected again, and for `maxAge` at
 * most. The same goes for a process that is killed between the two commands, and for a cache that loses what it has
 * acknowledged (a fail-over of Redis).
 *
 * The first read after a write asks the base, so that this pays where sessions are read more often than written.
 *
 * @example
 * SessionModule.forRoot({ store: CachedSessionStore.with({ base: TypeOrmSessionStore }), … })
 * new CachedSessionStore(base, cache) // in a script: both stay yours to close
 */
export class CachedSessionStore extends SessionStore implements OnModuleInit {
  /** As the base says; known once that is made. */
  override expiresByItself = false;
  readonly #base: SessionStore | (() => Promise<SessionStore>);
  readonly #cache: RecordCache;
  readonly #isUnshared: boolean;
  #made: Promise<SessionStore> | undefined;

  /**
   * @param base a store; or how to make one when it is first needed: this store initialises it then, and closes it
   * @throws SessionOptionsError
   */
  constructor(
    base: SessionStore | (() => Promise<SessionStore>),
    cache: Cache,
    options: CachedSessionOptions = {},
    clock: SessionClock = systemClock,
  ) {
    super();
    if (!base) {
      const instead = 'write store: CachedSessionStore.with({ base: TypeOrmSessionStore }).';
      throw new SessionOptionsError([`CachedSessionStore needs a store behind its cache: ${instead}`]);
    }
    const strict = StrictCache.of(cache, 'CachedSessionStore');
    const { prefix = 'nest-session:', singleProcess = false } = options;
    this.#base = base;
    this.#cache = new RecordCache(strict, { prefix, ...durationsOf(options) }, clock);
    this.#isUnshared = strict.isInProcess && !singleProcess;
    if (typeof base !== 'function') this.expiresByItself = base.expiresByItself;
  }

  /** A store class with a base: `store: CachedSessionStore.with({ base: TypeOrmSessionStore, cache: 'SESSIONS_CACHE' })`. */
  static with(options: CachedSessionStoreOptions): CachedSessionStoreClass {
    const { base, cache: token = CACHE_MANAGER, imports = [] } = options;

    @Injectable()
    class ConfiguredCachedSessionStore extends CachedSessionStore {
      static sessionImports() {
        return [...imports, ...(base.sessionImports?.() ?? [])];
      }

      // Made by Nest, in the session module, but not as a provider: where this store is overridden, there is no base.
      constructor(
        @Inject(ModuleRef) modules: ModuleRef,
        @Inject(token) cache: Cache,
        @Optional() @Inject(SessionClock) clock?: SessionClock,
      ) {
        super(() => modules.create(base), cache, options, clock);
      }
    }
    return calledAs(CachedSessionStore, ConfiguredCachedSessionStore);
  }

  /** Makes the base, so that its mistakes too are told when the application starts. */
  async onModuleInit(): Promise<void> {
    await this.#opened();
    if (!this.#isUnshared) return;
    new Logger('Session').warn(
      'The cache of CachedSessionStore lies in the memory of this process: other processes do not tell it what they ' +
        'change and end, so that it may serve that for maxAge. Share one (@keyv/redis), or set singleProcess: true.',
    );
  }

  async load(key: string): Promise<SessionRecord | undefined> {
    const { record, refill } = await this.#cache.find(key);
    if (record) return record;
    const loaded = await (await this.#opened()).load(key); // asked by each: one that began earlier may know less
    if (loaded && refill) await this.#cache.keep(key, loaded, refill);
    return loaded;
  }

  /** Nothing is cached under a key that was free. */
  async create(key: string, record: SessionRecord): Promise<boolean> {
    return (await this.#opened()).create(key, record);
  }

  save(key: string, change: SessionChange, loaded?: SessionRecord): Promise<boolean> {
    return this.#write(key, (base) => base.save(key, change, loaded));
  }

  delete(key: string, tombstoneUntil?: EpochMs): Promise<boolean> {
    return this.#end(key, tombstoneUntil);
  }

  override touch(key: string, touch: SessionTouch, loaded?: SessionRecord): Promise<boolean> {
    return this.#write(key, (base) => base.touch(key, touch, loaded));
  }

  override rename(
    key: string,
    newKey: string,
    change: SessionChange,
    tombstoneUntil?: EpochMs,
    loaded?: SessionRecord,
  ): Promise<RenameOutcome> {
    return this.#write(key, (base) => base.rename(key, newKey, change, tombstoneUntil, loaded));
  }

  override atomic(
    key: string,
    name: string,
    update: (text: string | undefined) => string | undefined,
  ): Promise<AtomicResult | undefined> {
    return this.#write(key, (base) => base.atomic(key, name, update));
  }

  override async deleteExpired(options?: DeleteExpiredOptions): Promise<number> {
    return (await this.#opened()).deleteExpired(options);
  }

  override async countExpired(): Promise<number> {
    return (await this.#opened()).countExpired();
  }

  override async findByUser(userId: string, options?: FindByUserOptions): Promise<StoredSession[]> {
    return (await this.#opened()).findByUser(userId, options);
  }

  /**
   * One by one, for the cache has to forget each key, and a session that the user begins meanwhile would end in the base
   * without anybody knowing its key.
   */
  override async deleteByUser(userId: string, options: DeleteByUserOptions = {}): Promise<number> {
    const { exceptKey, exceptHandle, tombstoneUntil } = options;
    const isSpared = ({ key, record }: StoredSession) => key === exceptKey || record.handle === exceptHandle;
    const base = await this.#opened();
    let ended = 0;
    for (;;) {
      const found = (await base.findByUser(userId, { values: [] })).filter((session) => !isSpared(session));
      const endedNow = await this.#endAll(found, tombstoneUntil);
      if (endedNow === 0) return ended;
      ended += endedNow;
    }
  }

  override async count(): Promise<number> {
    return (await this.#opened()).count();
  }

  /** Of the base: a cache that is away is no trouble. */
  override async ping(): Promise<void> {
    await (await this.#opened()).ping();
  }

  override async close(): Promise<void> {
    this.#cache.close();
    await (await this.#made)?.close();
  }

  async #write<T>(key: string, write: (base: SessionStore) => Promise<T>): Promise<T> {
    const base = await this.#opened();
    try {
      return await write(base);
    } finally {
      await this.#cache.forget(key); // after a failure too: the base may have done it, and only its answer is lost
    }
  }

  #end(key: string, tombstoneUntil: EpochMs | undefined): Promise<boolean> {
    return this.#write(key, (base) => base.delete(key, tombstoneUntil));
  }

  /** @throws what went wrong with one of them, when all the others have ended */
  async #endAll(sessions: readonly StoredSession[], tombstoneUntil: EpochMs | undefined): Promise<number> {
    const outcomes = await Promise.allSettled(sessions.map(({ key }) => this.#end(key, tombstoneUntil)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    return outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value).length;
  }

  #opened(): Promise<SessionStore> {
    if (typeof this.#base !== 'function') return Promise.resolve(this.#base);
    return (this.#made ??= this.#make(this.#base));
  }

  async #make(make: () => Promise<SessionStore>): Promise<SessionStore> {
    const base = await make();
    await (base as Partial<OnModuleInit>).onModuleInit?.();
    this.expiresByItself = base.expiresByItself;
    base.onExpired = (record) => this.onExpired?.(record);
    return base;
  }
}

function durationsOf({ maxAge = '60s', cacheTimeout = '500ms' }: CachedSessionOptions) {
  const [maxAgeMs, timeoutMs] = [durationMs(maxAge), durationMs(cacheTimeout)];
  const problems = [
    ...(maxAgeMs ? [] : ["maxAge of CachedSessionStore is how long a copy may be served: write '60s'."]),
    ...(timeoutMs ? [] : ["cacheTimeout of CachedSessionStore is how long to wait for it: write '500ms'."]),
  ];
  if (!maxAgeMs || !timeoutMs) throw new SessionOptionsError(problems);
  return { maxAgeMs, timeoutMs };
}
