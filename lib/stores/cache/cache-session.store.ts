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
import {
  applyChange,
  applyTouch,
  atomicChange,
  RECORD_FORMAT,
  type SessionChange,
  type SessionRecord,
  type SessionTouch,
  tombstoneOf,
} from '../../core/record.js';
import { SessionFormatException } from '../../errors.js';
import { calledAs } from '../called-as.js';
import {
  type AtomicResult,
  type RenameOutcome,
  SessionStore,
  SessionStoreUnsupportedError,
} from '../session-store.js';
import { readRecord, writeRecord } from './record-text.js';
import { CACHE_MANAGER, StrictCache } from './strict-cache.js';

export interface CacheSessionOptions {
  /** ['nest-session:'] What the keys in the cache begin with. */
  prefix?: string;
  /** [false] No other process uses these sessions: nothing is warned of at the start. */
  singleProcess?: boolean;
}

/** Options of a store that Nest makes. */
export interface CacheSessionStoreOptions extends CacheSessionOptions {
  /** [CACHE_MANAGER] The injection token of the cache (Django's SESSION_CACHE_ALIAS). */
  cache?: string | symbol | Type;
  /** Modules that export that token, if they are not global. */
  imports?: ModuleMetadata['imports'];
}

/** What {@link CacheSessionStore.with} makes: a store class that the session module binds. */
export interface CacheSessionStoreClass extends Type<CacheSessionStore> {
  sessionImports(): NonNullable<ModuleMetadata['imports']>;
}

/** Nobody provides it: options come from `with()`, or from whoever constructs the store by hand. */
const OPTIONS = Symbol('nest-session.CacheSessionOptions');

/** The token under which the CacheModule of @nestjs/cache-manager keeps what it was registered with. */
const CACHE_MODULE_OPTIONS = 'CACHE_MODULE_OPTIONS';

const NO_INDEX =
  'a cache has no index by user, so that sessions can be neither listed, revoked nor limited. Use RedisSessionStore, ' +
  'or CachedSessionStore over a database';
const NO_EXPIRY =
  'Keyv keeps expired rows in an SQL database for ever. Delete them by a job of your own, or use ' +
  'TypeOrmSessionStore, which clears its table';

/** So much longer does a cache keep an entry than its deadline says, for machines' clocks differ. */
const TTL_MARGIN_MS = 60_000;

/**
 * Keeps sessions in a cache of cache-manager, and so in whatever Keyv has an adapter for.
 *
 * Such a cache can get, set and delete, and nothing in one step. Updates of one session take turns within this process.
 * Where several processes share the cache, these laws do not hold between them: of parallel changes some may be lost
 * (4), what races with a logout may bring the session back (5), and of two logins at once both may win (6, 8). There,
 * take RedisSessionStore, or CachedSessionStore over a database. A cache also forgets when it is full: an evicted
 * session is a visitor logged out. There is no index by user, for one that may be evicted revokes nothing.
 *
 * @example
 * SessionModule.forRoot({ store: CacheSessionStore, … }) // with CacheModule.register({ isGlobal: true, stores: … })
 * SessionModule.forRoot({ store: CacheSessionStore.with({ cache: 'SESSIONS_CACHE', imports: [CachesModule] }), … })
 * new CacheSessionStore(createCache({ stores: [new Keyv(adapter)] })) // in a script: the cache stays yours to close
 */
@Injectable()
export class CacheSessionStore extends SessionStore implements OnModuleInit {
  /** False over an SQL database: Keyv leaves there what is over. */
  override readonly expiresByItself: boolean;
  readonly #cache: StrictCache;
  readonly #prefix: string;
  readonly #isAlone: boolean;
  readonly #clock: SessionClock;
  readonly #logger = new Logger('Session');
  #hasWarned = false;

  constructor(
    @Inject(CACHE_MANAGER) cache: Cache,
    @Optional() @Inject(OPTIONS) options: CacheSessionOptions = {},
    @Optional() @Inject(SessionClock) clock?: SessionClock,
    @Optional() @Inject(ModuleRef) private readonly modules?: ModuleRef,
  ) {
    super();
    this.#cache = StrictCache.of(cache, 'CacheSessionStore');
    this.expiresByItself = this.#cache.expires;
    this.#prefix = options.prefix ?? 'nest-session:';
    this.#isAlone = options.singleProcess ?? this.#cache.isInProcess;
    this.#clock = clock ?? systemClock;
  }

  /** A store class with options: `store: CacheSessionStore.with({ cache: 'SESSIONS_CACHE' })`. */
  static with(options: CacheSessionStoreOptions): CacheSessionStoreClass {
    const { cache: token = CACHE_MANAGER, imports = [] } = options;

    @Injectable()
    class ConfiguredCacheSessionStore extends CacheSessionStore {
      static sessionImports() {
        return imports;
      }

      constructor(
        @Inject(token) cache: Cache,
        @Optional() @Inject(SessionClock) clock?: SessionClock,
        @Optional() @Inject(ModuleRef) modules?: ModuleRef,
      ) {
        super(cache, options, clock, modules);
      }
    }
    return calledAs(CacheSessionStore, ConfiguredCacheSessionStore);
  }

  onModuleInit(): void {
    if (!this.expiresByItself) this.#logger.warn(`CacheSessionStore: ${NO_EXPIRY}.`);
    if (this.#cache.isInProcess && this.#hasIgnoredStore()) {
      this.#logger.warn(
        'CacheSessionStore keeps sessions in the memory of this process: `store` of CacheModule.register() was for ' +
          'cache-manager 5, and is ignored now. Write `stores: [new Keyv({ store: new KeyvRedis(url) })]`.',
      );
    }
    if (this.#isAlone) return;
    this.#logger.warn(
      'CacheSessionStore keeps laws 4, 5 and 6 within one process only: a cache has no compare-and-swap. With several ' +
        'processes use RedisSessionStore, or CachedSessionStore over a database; with one, set singleProcess: true.',
    );
  }

  load(key: string): Promise<SessionRecord | undefined> {
    return this.#read(key);
  }

  create(key: string, record: SessionRecord): Promise<boolean> {
    return this.#inTurn([key], async () => {
      if (await this.#read(key)) return false;
      await this.#write(key, record);
      return true;
    });
  }

  save(key: string, change: SessionChange): Promise<boolean> {
    return this.#update(key, (record) => applyChange(record, change));
  }

  delete(key: string, tombstoneUntil?: EpochMs): Promise<boolean> {
    return this.#inTurn([key], async () => {
      const record = await this.#living(key);
      if (!record) return false;
      await this.#write(key, tombstoneOf(record, 'ended', tombstoneUntil ?? 0));
      return true;
    });
  }

  override touch(key: string, touch: SessionTouch): Promise<boolean> {
    return this.#update(key, (record) => applyTouch(record, touch));
  }

  override rename(
    key: string,
    newKey: string,
    change: SessionChange,
    tombstoneUntil?: EpochMs,
  ): Promise<RenameOutcome> {
    return this.#inTurn([key, newKey], async () => {
      const record = await this.#living(key);
      if (!record) return 'gone';
      if (await this.#read(newKey)) return 'taken';
      await this.#write(newKey, applyChange(record, change));
      // Between the two both keys work; the new one is in nobody's hands yet.
      const successor = { key: newKey, trail: change.trail };
      await this.#write(key, tombstoneOf(record, 'renamed', tombstoneUntil ?? 0, successor));
      return 'renamed';
    });
  }

  override async atomic(
    key: string,
    name: string,
    update: (text: string | undefined) => string | undefined,
  ): Promise<AtomicResult | undefined> {
    let written: string | undefined;
    const updated = await this.#update(key, (record) => {
      const { change, text } = atomicChange(record, name, update);
      written = text;
      return applyChange(record, change);
    });
    return updated ? { text: written } : undefined;
  }

  /**
   * The cache forgets by itself; so nothing is deleted here, but a cache that can't be asked is still told.
   *
   * @throws SessionStoreUnsupportedError over an SQL database, where Keyv leaves what is over
   */
  override async deleteExpired(): Promise<number> {
    if (!this.expiresByItself)
      throw new SessionStoreUnsupportedError('CacheSessionStore', 'deleteExpired', NO_EXPIRY);
    await this.ping();
    return 0;
  }

  override findByUser(): Promise<never> {
    return Promise.reject(new SessionStoreUnsupportedError('CacheSessionStore', 'findByUser', NO_INDEX));
  }

  override deleteByUser(): Promise<never> {
    return Promise.reject(new SessionStoreUnsupportedError('CacheSessionStore', 'deleteByUser', NO_INDEX));
  }

  /** @nestjs/cache-manager takes the option of former times without a word, and makes a cache in memory. */
  #hasIgnoredStore(): boolean {
    try {
      const options: unknown = this.modules?.get(CACHE_MODULE_OPTIONS, { strict: false });
      const { store, stores } = Object(options) as Record<string, unknown>;
      return store !== undefined && stores === undefined;
    } catch {
      return false; // a cache that was made otherwise
    }
  }

  #inTurn<T>(keys: readonly string[], task: () => Promise<T>): Promise<T> {
    const names = keys.map((key) => this.#prefix + key);
    return this.#cache.turns.run(names, task);
  }

  #update(key: string, next: (record: SessionRecord) => SessionRecord): Promise<boolean> {
    return this.#inTurn([key], async () => {
      const record = await this.#living(key);
      if (!record) return false;
      const updated = next(record);
      if (updated !== record) await this.#write(key, updated);
      return true;
    });
  }

  async #read(key: string): Promise<SessionRecord | undefined> {
    const text = await this.#cache.get(this.#prefix + key);
    if (text === undefined) return undefined;
    const record = readRecord(text);
    if (!record) this.#warnOfUnreadable();
    return record && record.expiresAt > this.#clock.now() ? record : undefined;
  }

  /** @throws SessionFormatException: what a newer release wrote, this one does not change */
  async #living(key: string): Promise<SessionRecord | undefined> {
    const record = await this.#read(key);
    if (!record || record.gone) return undefined;
    if (record.format > RECORD_FORMAT) throw new SessionFormatException(record.handle, record.format);
    return record;
  }

  #write(key: string, record: SessionRecord): Promise<void> {
    const leftMs = record.expiresAt - this.#clock.now();
    if (leftMs <= 0) return this.#cache.delete(this.#prefix + key);
    return this.#cache.set(this.#prefix + key, writeRecord(record), leftMs + TTL_MARGIN_MS);
  }

  #warnOfUnreadable(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#logger.warn('The cache holds entries that are no sessions: their visitors begin anew.');
  }
}
