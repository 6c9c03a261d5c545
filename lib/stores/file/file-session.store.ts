import { readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Inject, Injectable, type OnModuleInit, Optional, type Type } from '@nestjs/common';
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
import { Turns } from '../../core/turns.js';
import { SessionFormatException, SessionOptionsError } from '../../errors.js';
import { calledAs } from '../called-as.js';
import {
  type AtomicResult,
  type DeleteByUserOptions,
  type DeleteExpiredOptions,
  type RenameOutcome,
  SessionStore,
  type StoredSession,
} from '../session-store.js';
import { codeOf, unless, withoutPath } from './file-errors.js';
import { removeLitter } from './litter.js';
import { openDirectory } from './session-directory.js';
import { linkIfFree, LockLostError, SessionLock, temporaryPath } from './session-lock.js';
import { readSession, unreadableSession, writeSession } from './session-text.js';
import { ShardedFolder } from './sharded-folder.js';
import { Slots } from './slots.js';
import { UserEntries } from './user-entries.js';

export interface FileSessionStoreOptions {
  /**
   * Where the sessions lie: a directory of this store alone, on a local disk, relative to where the process runs. It
   * is created (mode 0700) if only it itself is missing.
   */
  directory: string;
}

/** Nobody provides it: options come from `with()`, or from whoever constructs the store by hand. */
const OPTIONS = Symbol('nest-session.FileSessionStoreOptions');

/** So many files are open at once, for reading and for writing each. */
const OPEN_FILES = 64;

/** So often an update begins anew because its lock was taken for stale. */
const MAX_TRIES = 20;

/** What a process left that died goes when it is so old: longer than any command of a living one takes. */
const LITTER_AGE_MS = 10 * 60_000;

const KEY = /^[0-9a-f]{64}$/;

/**
 * Keeps each session in a file of its own: for one machine without a database, any number of processes.
 *
 * A file is replaced whole, in one step, under a lock of its session that all processes heed; a load takes no lock.
 * What was acknowledged survives the death of the process (`kill -9`). It is not flushed to the disk, so that a power
 * cut may take the last seconds' writes, each as a whole.
 *
 * @example
 * SessionModule.forRoot({ store: FileSessionStore.with({ directory: '/var/lib/shop/sessions' }), … })
 * new FileSessionStore({ directory: './sessions' }) // in a script
 */
@Injectable()
export class FileSessionStore extends SessionStore implements OnModuleInit {
  readonly #directory: string;
  readonly #clock: SessionClock;
  readonly #sessions: ShardedFolder;
  readonly #users: UserEntries;
  readonly #turns = new Turns();
  readonly #readers = new Slots(OPEN_FILES);
  readonly #writers = new Slots(OPEN_FILES);
  #opening: Promise<void> | undefined;

  /** @throws SessionOptionsError when no directory is named */
  constructor(
    @Optional() @Inject(OPTIONS) options?: FileSessionStoreOptions,
    @Optional() @Inject(SessionClock) clock?: SessionClock,
  ) {
    super();
    if (typeof options?.directory !== 'string' || options.directory === '') {
      throw new SessionOptionsError([
        "FileSessionStore needs a directory: write `store: FileSessionStore.with({ directory: './sessions' })`.",
      ]);
    }
    this.#directory = resolve(options.directory);
    this.#clock = clock ?? systemClock;
    this.#sessions = new ShardedFolder(join(this.#directory, 'sessions'));
    this.#users = new UserEntries(new ShardedFolder(join(this.#directory, 'users')));
  }

  /** A store class with options: `store: FileSessionStore.with({ directory: './sessions' })`. */
  static with(options: FileSessionStoreOptions): Type<FileSessionStore> {
    @Injectable()
    class ConfiguredFileSessionStore extends FileSessionStore {
      constructor(@Optional() @Inject(SessionClock) clock?: SessionClock) {
        super(options, clock);
      }
    }
    return calledAs(FileSessionStore, ConfiguredFileSessionStore);
  }

  /** Mistakes are told when the application starts, not at its first visitor. */
  async onModuleInit(): Promise<void> {
    await this.#open();
  }

  async load(key: string): Promise<SessionRecord | undefined> {
    const record = await this.#reading(() => this.#read(key));
    if (!record || record.expiresAt > this.#clock.now()) return record;
    const removed = await this.#removeExpired(key).catch(() => undefined); // or clearing finds it again
    if (removed && !removed.gone) this.onExpired?.(removed);
    return undefined;
  }

  async create(key: string, record: SessionRecord): Promise<boolean> {
    const path = this.#pathOf(key);
    const temporary = temporaryPath(path);
    return this.#writing(async () => {
      await this.#users.add(record.userId, key);
      await this.#sessions.writing(key, () => writeNew(temporary, writeSession(record)));
      try {
        return await linkIfFree(temporary, path);
      } finally {
        await unlink(temporary);
      }
    });
  }

  async save(key: string, change: SessionChange): Promise<boolean> {
    return this.#replace(key, (record) => applyChange(record, change));
  }

  override async touch(key: string, touch: SessionTouch): Promise<boolean> {
    return this.#replace(key, (record) => applyTouch(record, touch));
  }

  async delete(key: string, tombstoneUntil?: EpochMs): Promise<boolean> {
    return this.#end(key, (record) => tombstoneOf(record, 'ended', tombstoneUntil ?? 0));
  }

  /**
   * The new session is made first, then the old one is replaced by its mark. A process that dies between the two
   * leaves the old one as it was, and the new one under a key that nobody was told; that goes with the lock.
   */
  override async rename(
    key: string,
    newKey: string,
    change: SessionChange,
    tombstoneUntil?: EpochMs,
  ): Promise<RenameOutcome> {
    this.#pathOf(newKey);
    const outcome = await this.#update<RenameOutcome>(key, async (record, lock) => {
      const renamed = applyChange(record, change);
      const successor = { key: newKey, trail: change.trail };
      const mark = tombstoneOf(record, 'renamed', tombstoneUntil ?? 0, successor);
      await this.#users.add(renamed.userId, newKey);
      if (!(await lock.commitRename(writeSession(mark), newKey, writeSession(renamed)))) return 'taken';
      await this.#tidyUp(key, record, mark);
      return 'renamed';
    });
    return outcome ?? 'gone';
  }

  override async atomic(
    key: string,
    name: string,
    update: (text: string | undefined) => string | undefined,
  ): Promise<AtomicResult | undefined> {
    return this.#update(key, async (record, lock) => {
      const { change, text } = atomicChange(record, name, update);
      await lock.commit(writeSession(applyChange(record, change)));
      return { text };
    });
  }

  /** Reads every file, shard by shard, and removes what processes left that died. */
  override async deleteExpired(options: DeleteExpiredOptions = {}): Promise<number> {
    const { signal, onProgress, batchSize = 1_000 } = options;
    let deleted = 0;
    let found: string[] = [];
    const deleteBatch = async () => {
      const gone = await Promise.all(found.map((key) => this.#removeExpired(key)));
      deleted += gone.filter((record) => record && !record.gone).length;
      found = [];
      await onProgress?.(deleted);
    };

    for await (const { key, record } of this.#all()) {
      if (signal?.aborted) return deleted;
      if (!this.#isOver(record)) continue;
      found.push(key);
      if (found.length >= batchSize) await deleteBatch();
    }
    if (found.length > 0 && !signal?.aborted) await deleteBatch();
    await this.#writing(() => this.#sweep(signal));
    return deleted;
  }

  override async countExpired(): Promise<number> {
    let expired = 0;
    for await (const { record } of this.#all()) if (!record.gone && this.#isOver(record)) expired++;
    return expired;
  }

  override async findByUser(userId: string): Promise<StoredSession[]> {
    const found = new Map<string, StoredSession>(); // by handle: one that is just renamed may be met twice
    await this.#eachOf(userId, async (key) => {
      const record = await this.load(key);
      if (!record || record.gone || record.userId !== userId) return false;
      found.set(record.handle || key, { key, record });
      return true;
    });
    return [...found.values()];
  }

  /** @throws SessionFormatException when a session of a newer format is among them; the others have ended then */
  override async deleteByUser(userId: string, options: DeleteByUserOptions = {}): Promise<number> {
    const { exceptKey, exceptHandle, tombstoneUntil } = options;
    let ended = 0;
    let newer: SessionFormatException | undefined;
    await this.#eachOf(userId, async (key) => {
      if (key === exceptKey) return true;
      let isSpared = false;
      const markOf = (record: SessionRecord) => {
        isSpared = record.handle === exceptHandle;
        if (record.userId !== userId || isSpared) return undefined;
        return tombstoneOf(record, 'ended', tombstoneUntil ?? 0);
      };
      try {
        if (!(await this.#end(key, markOf))) return isSpared;
        ended++;
      } catch (error) {
        if (!(error instanceof SessionFormatException)) throw error;
        newer = error;
      }
      return true;
    });
    if (newer) throw newer;
    return ended;
  }

  /** Reads every file: for a command line or a dashboard, not for a request. */
  override async count(): Promise<number> {
    let living = 0;
    for await (const { record } of this.#all())
      if (!record.gone && record.expiresAt > this.#clock.now()) living++;
    return living;
  }

  /** Whether a record may be deleted; what a newer release wrote may not. */
  #isOver({ expiresAt, format }: SessionRecord): boolean {
    return expiresAt <= this.#clock.now() && format <= RECORD_FORMAT;
  }

  /** @throws TypeError for anything but a key: names of files are made of nothing else */
  #pathOf(key: string): string {
    if (!KEY.test(key)) throw new TypeError('A key is 64 hexadecimal digits, in lower case.');
    return this.#sessions.pathOf(key);
  }

  #open(): Promise<void> {
    return (this.#opening ??= openDirectory(this.#directory).catch((error: unknown) => {
      this.#opening = undefined; // by hand, it may be tried again
      throw error;
    }));
  }

  #reading<T>(work: () => Promise<T>): Promise<T> {
    return this.#using(this.#readers, work);
  }

  #writing<T>(work: () => Promise<T>): Promise<T> {
    return this.#using(this.#writers, work);
  }

  async #using<T>(slots: Slots, work: () => Promise<T>): Promise<T> {
    await this.#open();
    try {
      return await slots.run(work);
    } catch (error) {
      throw withoutPath(error);
    }
  }

  /** What stands under the key, expired or not. Needs no lock: a file is replaced in one step. */
  async #read(key: string): Promise<SessionRecord | undefined> {
    const path = this.#pathOf(key);
    try {
      const record = readSession(await readFile(path, 'utf8'));
      return record ?? unreadableSession(key, (await stat(path)).mtimeMs);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      await this.#sessions.check();
      return undefined;
    }
  }

  /** @throws SessionFormatException: what a newer release wrote, this one does not change */
  async #living(key: string): Promise<SessionRecord | undefined> {
    const record = await this.#read(key);
    if (!record || record.gone || record.expiresAt <= this.#clock.now()) return undefined;
    if (record.format > RECORD_FORMAT) throw new SessionFormatException(record.handle, record.format);
    return record;
  }

  /** Runs `work` while no other update of the session does, in this process or another. */
  async #locked<T>(key: string, work: (lock: SessionLock | undefined) => Promise<T>): Promise<T> {
    this.#pathOf(key);
    return this.#turns.take(key, () =>
      this.#writing(async () => {
        for (let tries = 1; ; tries++) {
          const lock = await SessionLock.take(this.#sessions, key);
          try {
            return await work(lock);
          } catch (error) {
            if (!(error instanceof LockLostError) || tries === MAX_TRIES) throw error;
          } finally {
            await lock?.release();
          }
        }
      }),
    );
  }

  /** Runs `work` on the living session, under its lock. @returns undefined when there is none */
  #update<T>(
    key: string,
    work: (record: SessionRecord, lock: SessionLock) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#locked(key, async (lock) => {
      const record = lock && (await this.#living(key));
      return record && work(record, lock);
    });
  }

  async #replace(key: string, next: (record: SessionRecord) => SessionRecord): Promise<boolean> {
    const replaced = await this.#update(key, async (record, lock) => {
      await lock.commit(writeSession(next(record)));
      return true;
    });
    return replaced ?? false;
  }

  /**
   * Puts the mark of an ended session in its place. One that is not to be seen is put there too, and removed then: to
   * remove the file at once would need no lock that still stands, and could hit what a rename put there meanwhile.
   *
   * @param markOf undefined: this session stays
   */
  async #end(key: string, markOf: (record: SessionRecord) => SessionRecord | undefined): Promise<boolean> {
    const ended = await this.#update(key, async (record, lock) => {
      const mark = markOf(record);
      if (!mark) return false;
      await lock.commit(writeSession(mark));
      await this.#tidyUp(key, record, mark);
      return true;
    });
    return ended ?? false;
  }

  /** After the commit that ended a session: nothing that could bring it back depends on this. */
  async #tidyUp(key: string, record: SessionRecord, mark: SessionRecord): Promise<void> {
    await this.#users.remove(record.userId, key);
    if (mark.expiresAt <= this.#clock.now()) await unless(['ENOENT'], unlink(this.#pathOf(key)));
  }

  /** @returns the record that went; undefined when a parallel request kept it alive, or removed it */
  #removeExpired(key: string): Promise<SessionRecord | undefined> {
    return this.#locked(key, async () => {
      const record = await this.#read(key);
      if (!record || record.expiresAt > this.#clock.now() || record.format > RECORD_FORMAT) return undefined;
      await unlink(this.#pathOf(key)); // nobody revives what is expired, so that this may come late
      await this.#users.remove(record.userId, key);
      return record;
    });
  }

  /**
   * Runs `visit` on the keys of a user's sessions, which may get new keys meanwhile: until no key is left that was not
   * visited. A key without a session is visited again after all others, for it may have been listed before the rename
   * was done that another visit waited for.
   *
   * @param visit false: there is no such session
   */
  async #eachOf(userId: string, visit: (key: string) => Promise<boolean>): Promise<void> {
    const missing = async (keys: string[]) => {
      const isThere = await Promise.all(keys.map(visit));
      return keys.filter((_, index) => !isThere[index]);
    };
    const seen = new Set<string>();
    for (;;) {
      const keys = await this.#reading(() => this.#users.keysOf(userId));
      const fresh = keys.filter((key) => !seen.has(key));
      if (fresh.length === 0) return;
      const gone = await missing(await missing(fresh));
      await Promise.all(gone.map((key) => this.#forget(userId, key)));
      for (const key of fresh) seen.add(key);
    }
  }

  #forget(userId: string, key: string): Promise<void> {
    return this.#writing(() => this.#users.removeIfOlderThan(LITTER_AGE_MS, userId, key));
  }

  /** Every session, expired ones and tombstones too; one shard is in memory at a time. */
  async *#all(): AsyncGenerator<StoredSession> {
    await this.#open();
    for await (const names of this.#sessions.shards()) {
      const keys = names.filter((name) => KEY.test(name));
      for (let start = 0; start < keys.length; start += OPEN_FILES) {
        const some = keys.slice(start, start + OPEN_FILES);
        const records = await Promise.all(some.map((key) => this.#reading(() => this.#read(key))));
        for (const [index, record] of records.entries()) if (record) yield { key: some[index], record };
      }
    }
  }

  /** Removes what processes left that died: temporary files, locks, entries of users. */
  async #sweep(signal: AbortSignal | undefined): Promise<void> {
    for await (const _ of removeLitter(this.#sessions, LITTER_AGE_MS)) if (signal?.aborted) return;
    const isThere = async (key: string) => (await this.#reading(() => this.#read(key))) !== undefined;
    for await (const _ of this.#users.sweep(LITTER_AGE_MS, isThere)) if (signal?.aborted) return;
  }
}

function writeNew(path: string, text: string): Promise<void> {
  return writeFile(path, text, { flag: 'wx', mode: 0o600 });
}
