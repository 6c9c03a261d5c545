import {
  Inject,
  Injectable,
  type ModuleMetadata,
  type OnModuleInit,
  Optional,
  type Type,
} from '@nestjs/common';
import { type EpochMs, SessionClock, systemClock } from '../../core/clock.js';
import {
  atomicChange,
  type SessionChange,
  type SessionRecord,
  type SessionTouch,
} from '../../core/record.js';
import { Turns } from '../../core/turns.js';
import { SessionFormatException, SessionOptionsError } from '../../errors.js';
import { calledAs } from '../called-as.js';
import {
  type AtomicResult,
  type DeleteByUserOptions,
  type FindByUserOptions,
  type RenameOutcome,
  SessionStore,
  type StoredSession,
} from '../session-store.js';
import { inPages } from './pages.js';
import type { RedisClient } from './redis-client.js';
import type { ClientToken, RedisSessionOptions, RedisSessionStoreOptions } from './redis-options.js';
import { RedisSessions } from './redis-sessions.js';

/** What {@link RedisSessionStore.with} makes: a store class that the session module binds. */
export interface RedisSessionStoreClass extends Type<RedisSessionStore> {
  sessionImports(): NonNullable<ModuleMetadata['imports']>;
}

/** Nobody provides them: they come from `with()`, or from whoever constructs the store by hand. */
const SOURCE = Symbol('nest-session.RedisSource');
const OPTIONS = Symbol('nest-session.RedisSessionOptions');

/** So many times an atomic update may lose against other processes. */
const MAX_ROUNDS = 1_000;

/** So many times `deleteByUser` looks again, whether a session was renamed before its eyes. */
const MAX_LOOKS = 10;

/**
 * Keeps sessions in Redis 7 or Valkey: a single node, Sentinel or a cluster, by node-redis or ioredis.
 *
 * An update is one script, and so one step: two requests that change different values both win. What expires leaves by
 * itself. While Redis is away commands are refused, and not queued: requests that need their session get a 503.
 *
 * At the start the server is looked at: it must be no replica, and allow the commands and keys that the README lists. A session
 * of a user lives as long as their index names it: so none outlives a `deleteByUser` on a server that drops keys when full.
 *
 * `findByUser` asks an index by user and then each session, so that it never shows a dead one. In a cluster the index is
 * written by a second command, right after the session: a login that is under way at that moment may be missing.
 *
 * @example
 * SessionModule.forRoot({ store: RedisSessionStore.with({ url: process.env.REDIS_URL, prefix: 'shop:' }), … })
 * SessionModule.forRoot({ store: RedisSessionStore.with({ client: REDIS, imports: [RedisModule] }), … })
 * new RedisSessionStore(client, { prefix: 'shop:' }) // in a script: the client stays yours to close
 */
@Injectable()
export class RedisSessionStore extends SessionStore implements OnModuleInit {
  override readonly expiresByItself = true;
  readonly #sessions: RedisSessions;
  readonly #clock: SessionClock;
  readonly #turns = new Turns();

  /** @throws SessionOptionsError when there is neither a client nor a URL */
  constructor(
    @Optional() @Inject(SOURCE) source: RedisClient | string | undefined,
    @Optional() @Inject(OPTIONS) options: RedisSessionOptions = {},
  ) {
    super();
    if (source === undefined) {
      throw new SessionOptionsError([
        'RedisSessionStore has no server: write RedisSessionStore.with({ url: process.env.REDIS_URL }) and see that it is set, or RedisSessionStore.with({ client }).',
      ]);
    }
    this.#clock = options.clock ?? systemClock;
    this.#sessions = new RedisSessions(source, options.prefix ?? 'session:', this.#clock);
  }

  /** A store class with options: `store: RedisSessionStore.with({ url: process.env.REDIS_URL })`. */
  static with(options: RedisSessionStoreOptions): RedisSessionStoreClass {
    const { client, imports = [], prefix, url } = options;

    @Injectable()
    class ConfiguredRedisSessionStore extends RedisSessionStore {
      static sessionImports() {
        return imports;
      }

      constructor(
        @(isToken(client) ? Inject(client) : Optional()) provided: RedisClient | undefined,
        @Optional() @Inject(SessionClock) clock?: SessionClock,
      ) {
        if (client !== undefined && url !== undefined)
          throw new SessionOptionsError(['RedisSessionStore.with() takes a client or a url, not both.']);
        super((isToken(client) ? provided : client) ?? url, { prefix, clock });
      }
    }
    return calledAs(RedisSessionStore, ConfiguredRedisSessionStore);
  }

  /**
   * A server that can't be reached, or can't be used as it is, is told when the application starts, not by its first visitor.
   *
   * @throws SessionOptionsError when the server is there and refuses what the store needs: it says what to write
   */
  async onModuleInit(): Promise<void> {
    await this.#sessions.start();
  }

  async load(key: string): Promise<SessionRecord | undefined> {
    const found = await this.#sessions.read(key);
    return found && found.record.expiresAt > this.#clock.now() ? found.record : undefined;
  }

  create(key: string, record: SessionRecord): Promise<boolean> {
    return this.#sessions.create(key, record);
  }

  save(key: string, change: SessionChange): Promise<boolean> {
    return this.#sessions.save(key, change);
  }

  async delete(key: string, tombstoneUntil?: EpochMs): Promise<boolean> {
    return this.#sessions.end(key, tombstoneUntil);
  }

  override touch(key: string, touch: SessionTouch): Promise<boolean> {
    return this.#sessions.touch(key, touch);
  }

  override rename(
    key: string,
    newKey: string,
    change: SessionChange,
    tombstoneUntil?: EpochMs,
  ): Promise<RenameOutcome> {
    return this.#sessions.rename(key, newKey, change, tombstoneUntil);
  }

  /** Updates of this process take turns, so that each has to win against those of other processes alone. */
  override atomic(
    key: string,
    name: string,
    update: (text: string | undefined) => string | undefined,
  ): Promise<AtomicResult | undefined> {
    return this.#turns.take(key, async () => {
      let record = await this.#sessions.readValue(key, name);
      for (let round = 0; record && round < MAX_ROUNDS; round++) {
        const { text } = atomicChange(record, name, update);
        const newer = await this.#sessions.swap(key, name, record, text);
        if (newer === 'swapped') return { text };
        record = newer;
      }
      if (record) throw new Error(`The value changed ${MAX_ROUNDS} times before it could be written.`);
      return undefined;
    });
  }

  /** Redis does it; all that is asked is whether it is there. */
  override async deleteExpired(): Promise<number> {
    await this.#sessions.ping();
    return 0;
  }

  override async findByUser(userId: string, options: FindByUserOptions = {}): Promise<StoredSession[]> {
    return this.#sessions.ofUser(userId, options);
  }

  /** @throws SessionFormatException when a session of a newer format is among them; the others have ended then */
  override async deleteByUser(userId: string, options: DeleteByUserOptions = {}): Promise<number> {
    const staying = new Set(options.exceptKey === undefined ? [] : [options.exceptKey]);
    let refusal: SessionFormatException | undefined;
    const revoke = async (key: string): Promise<boolean> => {
      try {
        const outcome = await this.#sessions.revoke(userId, key, options);
        if (outcome === 'spared') staying.add(key);
        return outcome === 'ended';
      } catch (error) {
        if (!(error instanceof SessionFormatException)) throw error;
        staying.add(key);
        refusal = error;
        return false;
      }
    };
    let ended = 0;
    for (let look = 0; look < MAX_LOOKS; look++) {
      const named = await this.#sessions.keysOfUser(userId);
      const keys = named.filter((key) => !staying.has(key));
      if (keys.length === 0) break;
      ended += (await inPages(keys, revoke)).filter(Boolean).length;
    }
    if (refusal) throw refusal;
    return ended;
  }

  override count(): Promise<number> {
    return this.#sessions.count();
  }

  /** Fails also where a server is there and would refuse a write: a replica, a full one, one that can't save. */
  override ping(): Promise<void> {
    return this.#sessions.pingToWrite();
  }

  override close(): Promise<void> {
    return this.#sessions.close();
  }
}

function isToken(client: RedisSessionStoreOptions['client']): client is ClientToken {
  return (
    typeof client === 'string' ||
    typeof client === 'symbol' ||
    (typeof client === 'function' && !('status' in client))
  );
}
