import { Inject, Injectable, Logger, type OnModuleInit, Optional } from '@nestjs/common';
import { type EpochMs, SessionClock, systemClock } from '../core/clock.js';
import {
  applyChange,
  applyTouch,
  atomicChange,
  type SessionChange,
  type SessionRecord,
  type SessionTouch,
  tombstoneOf,
} from '../core/record.js';
import {
  type AtomicResult,
  type DeleteByUserOptions,
  type DeleteExpiredOptions,
  type RenameOutcome,
  SessionStore,
  type StoredSession,
} from './session-store.js';

/** When so many records are held, the expired ones are looked for at the next create, and then the oldest go. */
const MAX_RECORDS = 100_000;

/**
 * Keeps sessions in this process, and loses them with it. For tests, development and single-process tools; where
 * `NODE_ENV` is `production`, it warns at the start.
 *
 * Bounded: beyond 100,000 sessions the expired ones leave, and then the ones created first.
 */
@Injectable()
export class MemorySessionStore extends SessionStore implements OnModuleInit {
  readonly #records = new Map<string, SessionRecord>();
  /** Keys of each user's sessions: of all that are held, expired ones too. */
  readonly #keysByUser = new Map<string, Set<string>>();
  readonly #clock: SessionClock;
  /** The bound; a subclass may choose another. */
  protected readonly maxRecords: number = MAX_RECORDS;

  constructor(@Optional() @Inject(SessionClock) clock?: SessionClock) {
    super();
    this.#clock = clock ?? systemClock;
  }

  onModuleInit(): void {
    if (process.env.NODE_ENV !== 'production') return;
    new Logger('Session').warn(
      'MemorySessionStore keeps sessions in the memory of this process: a restart logs everybody out, and another ' +
        'process knows none of them. In production use RedisSessionStore, TypeOrmSessionStore or FileSessionStore.',
    );
  }

  // Records are never changed in place, so the stored object itself can be handed out.
  async load(key: string): Promise<SessionRecord | undefined> {
    const met = this.#records.get(key);
    const record = this.#unexpired(key);
    if (met && !record && !met.gone) this.onExpired?.(met);
    return record;
  }

  async create(key: string, record: SessionRecord): Promise<boolean> {
    if (this.#unexpired(key)) return false;
    if (this.#records.size >= this.maxRecords) this.#makeRoom();
    this.#put(key, record);
    return true;
  }

  async save(key: string, change: SessionChange): Promise<boolean> {
    const record = this.#living(key);
    if (!record) return false; // logged out while the request ran: it stays logged out
    this.#put(key, applyChange(record, change));
    return true;
  }

  async delete(key: string, tombstoneUntil?: EpochMs): Promise<boolean> {
    const record = this.#living(key);
    if (!record) return false;
    this.#bury(key, tombstoneUntil, (until) => tombstoneOf(record, 'ended', until));
    return true;
  }

  override async touch(key: string, touch: SessionTouch): Promise<boolean> {
    const record = this.#living(key);
    if (!record) return false;
    this.#put(key, applyTouch(record, touch));
    return true;
  }

  override async rename(
    key: string,
    newKey: string,
    change: SessionChange,
    tombstoneUntil?: EpochMs,
  ): Promise<RenameOutcome> {
    const record = this.#living(key);
    if (!record) return 'gone';
    if (this.#unexpired(newKey)) return 'taken';
    this.#put(newKey, applyChange(record, change));
    const successor = { key: newKey, trail: change.trail };
    this.#bury(key, tombstoneUntil, (until) => tombstoneOf(record, 'renamed', until, successor));
    return 'renamed';
  }

  override async atomic(
    key: string,
    name: string,
    update: (text: string | undefined) => string | undefined,
  ): Promise<AtomicResult | undefined> {
    const record = this.#living(key);
    if (!record) return undefined;
    const { change, text } = atomicChange(record, name, update);
    this.#put(key, applyChange(record, change));
    return { text };
  }

  override async deleteExpired(options?: DeleteExpiredOptions): Promise<number> {
    const { signal, onProgress, batchSize = 1_000 } = options ?? {};
    let deleted = 0;
    let inBatch = 0;
    for (const [key, record] of this.#records) {
      if (signal?.aborted) break;
      if (record.expiresAt > this.#clock.now()) continue;
      this.#remove(key);
      if (!record.gone) deleted++;
      if (++inBatch < batchSize) continue;
      inBatch = 0;
      await onProgress?.(deleted);
      await new Promise(setImmediate); // requests go first
    }
    if (inBatch > 0) await onProgress?.(deleted);
    return deleted;
  }

  override async countExpired(): Promise<number> {
    const now = this.#clock.now();
    return [...this.#records.values()].filter(({ gone, expiresAt }) => !gone && expiresAt <= now).length;
  }

  override async findByUser(userId: string): Promise<StoredSession[]> {
    const found: StoredSession[] = [];
    const now = this.#clock.now();
    for (const key of this.#keysByUser.get(userId) ?? []) {
      const record = this.#records.get(key);
      if (record && !record.gone && record.expiresAt > now) found.push({ key, record });
    }
    return found;
  }

  override async deleteByUser(userId: string, options: DeleteByUserOptions = {}): Promise<number> {
    let deleted = 0;
    for (const { key, record } of await this.findByUser(userId)) {
      if (key === options.exceptKey || record.handle === options.exceptHandle) continue;
      this.#bury(key, options.tombstoneUntil, (until) => tombstoneOf(record, 'ended', until));
      deleted++;
    }
    return deleted;
  }

  override async count(): Promise<number> {
    const now = this.#clock.now();
    let living = 0;
    for (const { gone, expiresAt } of this.#records.values()) if (!gone && expiresAt > now) living++;
    return living;
  }

  override async ping(): Promise<void> {}

  #unexpired(key: string): SessionRecord | undefined {
    const record = this.#records.get(key);
    if (!record || record.expiresAt > this.#clock.now()) return record;
    this.#remove(key);
    return undefined;
  }

  #living(key: string): SessionRecord | undefined {
    const record = this.#unexpired(key);
    return record?.gone ? undefined : record;
  }

  #put(key: string, record: SessionRecord): void {
    const before = this.#records.get(key)?.userId;
    this.#records.set(key, record);
    if (before === record.userId) return;
    this.#unlist(before, key);
    if (record.userId === undefined) return;
    const keys = this.#keysByUser.get(record.userId);
    if (keys) keys.add(key);
    else this.#keysByUser.set(record.userId, new Set([key]));
  }

  #remove(key: string): void {
    this.#unlist(this.#records.get(key)?.userId, key);
    this.#records.delete(key);
  }

  #unlist(userId: string | undefined, key: string): void {
    if (userId === undefined) return;
    const keys = this.#keysByUser.get(userId);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysByUser.delete(userId);
  }

  #bury(key: string, until: EpochMs | undefined, tombstone: (until: EpochMs) => SessionRecord): void {
    if (until === undefined || until <= this.#clock.now()) this.#remove(key);
    else this.#put(key, tombstone(until));
  }

  /** Drops what is over; where that is not enough, a hundredth of the rest, the first created first. */
  #makeRoom(): void {
    for (const key of this.#records.keys()) this.#unexpired(key);
    let surplus = this.#records.size - this.maxRecords + Math.ceil(this.maxRecords / 100);
    for (const key of this.#records.keys()) {
      if (surplus-- <= 0) return;
      this.#remove(key);
    }
  }
}
