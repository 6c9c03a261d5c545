import { readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Inject, Injectable, Logger, type OnModuleInit, Optional, type Type } from '@nestjs/common';
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
  withSomeValues,
} from '../../core/record.js';
import { Turns } from '../../core/turns.js';
import { SessionFormatException, SessionOptionsError } from '../../errors.js';
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
import { codeOf, isDiskFull, isForbidden, unless, withoutPath } from './file-errors.js';
import { removeLitter, removeProbes } from './litter.js';
import { openDirectory, probe } from './session-directory.js';
import { linkIfFree, LockLostError, SessionLock, temporaryPath } from './session-lock.js';
import { isUnreadable, readSession, unreadableSession, writeSession } from './session-text.js';
import { type OnFailure, ShardedFolder } from './sharded-folder.js';
import { Slots } from './slots.js';
import { UserEntries } from './user-entries.js';
import { removeWithoutSpace } from './without-space.js';

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
 * On a full disk nothing can be written, but sessions still end: `delete`, `deleteByUser` and `deleteExpired` remove
 * files there, without a tombstone.
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
  readonly #logger = new Logger('Session');
  #opening: Promise<void> | undefined;
  #hasWarnedOfOwner = false;

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
    return this.#writing(() =>
      this.#withEntry(record.userId, key, async () => {
        try {
          await this.#sessions.writing(key, () => writeNew(temporary, writeSession(record)));
          await this.#sessions.give(temporary);
          return await linkIfFree(temporary, path);
        } finally {
          await unless(['ENOENT'], unlink(temporary));
        }
      }),
    );
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
      const move = () => lock.commitRename(writeSession(mark), newKey, writeSession(renamed));
      if (!(await this.#withEntry(renamed.userId, newKey, move))) return 'taken';
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

  /**
   * Reads every file, shard by shard, and removes what processes left that died.
   *
   * @throws the first error of a file or folder, when all others have been cleared
   */
  override async deleteExpired(options: DeleteExpiredOptions = {}): Promise<number> {
    const { signal, onProgress, batchSize = 1_000 } = options;
    let deleted = 0;
    let found: string[] = [];
    const failures: unknown[] = [];
    const onFailure = (error: unknown) => void (failures.length === 0 && failures.push(error));
    const deleteBatch = async () => {
      const gone = await Promise.all(found.map((key) => this.#removeExpired(key).catch(onFailure)));
      deleted += gone.filter((record) => record && !record.gone).length;
      found = [];
      await onProgress?.(deleted);
    };

    for await (const { key, record } of this.#all(onFailure)) {
      if (signal?.aborted) return deleted;
      if (!this.#isOver(record)) continue;
      found.push(key);
      if (found.length >= batchSize) await deleteBatch();
    }
    if (found.length > 0 && !signal?.aborted) await deleteBatch();
    await this.#writing(() => this.#sweep(signal, onFailure));
    if (failures.length > 0) throw withoutPath(failures[0]);
    return deleted;
  }

  override async countExpired(): Promise<number> {
    let expired = 0;
    for await (const { record } of this.#all()) if (!record.gone && this.#isOver(record)) expired++;
    return expired;
  }

  override async findByUser(userId: string, options: FindByUserOptions = {}): Promise<StoredSession[]> {
    const { handle, values } = options;
    const found = new Map<string, StoredSession>(); // by handle: one that is just renamed may be met twice
    await this.#eachOf(userId, async (key) => {
      const record = await this.load(key);
      if (!record || record.gone || record.userId !== userId) return false;
      if (handle === undefined || record.handle === handle)
        found.set(record.handle || key, { key, record: values ? withSomeValues(record, values) : record });
      return true;
    });
    return [...found.values()];
  }

  /**
   * What can't be read ends, too: it may be the user's session, and its file may be readable again some day.
   *
   * @throws the first error of a session among them, such as SessionFormatException for one of a newer format; the others have
   * ended then
   */
  override async deleteByUser(userId: string, options: DeleteByUserOptions = {}): Promise<number> {
    const { exceptKey, exceptHandle, tombstoneUntil } = options;
    let ended = 0;
    const failures: unknown[] = [];
    await this.#eachOf(userId, async (key) => {
      if (key === exceptKey) return true;
      let isSpared = false;
      const markOf = (record: SessionRecord) => {
        isSpared = record.handle === exceptHandle;
        if (isSpared || (record.userId !== userId && !isUnreadable(key, record))) return undefined;
        return tombstoneOf(record, 'ended', tombstoneUntil ?? 0);
      };
      try {
        if (!(await this.#end(key, markOf))) return isSpared;
        ended++;
      } catch (error) {
        failures.push(error);
      }
      return true;
    });
    if (failures.length > 0) throw failures[0];
    return ended;
  }

  /** Reads every file: for a command line or a dashboard, not for a request. */
  override async count(): Promise<number> {
    let living = 0;
    for await (const { record } of this.#all())
      if (!record.gone && record.expiresAt > this.#clock.now()) living++;
    return living;
  }

  /** Writes something, and removes it: an answer means that sessions can be written, too. */
  override async ping(): Promise<void> {
    await this.#writing(() => probe(this.#directory));
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
    return (this.#opening ??= this.#prepare().catch((error: unknown) => {
      this.#opening = undefined; // by hand, it may be tried again
      throw error;
    }));
  }

  async #prepare(): Promise<void> {
    const { owner, isFull } = await openDirectory(this.#directory);
    this.#sessions.owner = owner;
    this.#users.owner = owner;
    if (!isFull) return;
    this.#logger.warn(
      `The disk of ${this.#directory} is full: sessions can be read, ended and cleared, but none is begun or saved ` +
        'before there is room.',
    );
  }

  /** Makes the user's entry before the session; where that fails, the entry goes again, as the disk may be full. */
  async #withEntry<T>(userId: string | undefined, key: string, make: () => Promise<T>): Promise<T> {
    try {
      await this.#users.add(userId, key);
      return await make();
    } catch (error) {
      const isThere = await this.#read(key).catch(() => true);
      if (!isThere) await this.#users.remove(userId, key).catch(() => undefined);
      throw error;
    }
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
  async #read(key: string, path = this.#pathOf(key)): Promise<SessionRecord | undefined> {
    try {
      const record = readSession(await this.#textOf(path));
      return record ?? unreadableSession(key, (await stat(path)).mtimeMs);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      await this.#sessions.check();
      return undefined;
    }
  }

  /**
   * A file of another user reads as an empty one: the next save replaces it by one that can be read. Where its folder
   * can't be looked into either, the `stat` that follows throws.
   */
  async #textOf(path: string): Promise<string> {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (!isForbidden(error)) throw error;
      this.#warnOfOwner();
      return '';
    }
  }

  #warnOfOwner(): void {
    if (this.#hasWarnedOfOwner) return;
    this.#hasWarnedOfOwner = true;
    this.#logger.warn(
      `Sessions in ${this.#directory} belong to another user, so that this process can't read them: their visitors ` +
        'begin anew. Run commands as the user of the application, and give it what is there (`chown -R`).',
    );
  }

  /** @throws SessionFormatException: what a newer release wrote, this one does not change */
  async #living(key: string): Promise<SessionRecord | undefined> {
    const record = await this.#read(key);
    if (!record || !this.#isLiving(record)) return undefined;
    if (record.format > RECORD_FORMAT) throw new SessionFormatException(record.handle, record.format);
    return record;
  }

  #isLiving({ gone, expiresAt }: SessionRecord): boolean {
    return !gone && expiresAt > this.#clock.now();
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

  /** Ends a session: by a mark in its place, or on a full disk without one. @param markOf undefined: this session stays */
  async #end(key: string, markOf: (record: SessionRecord) => SessionRecord | undefined): Promise<boolean> {
    try {
      return await this.#putMark(key, markOf);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
    await this.#reading(() => this.#living(key)); // throws for one of a newer format
    const isToGo = (record: SessionRecord) =>
      this.#isLiving(record) && record.format <= RECORD_FORMAT && markOf(record) !== undefined;
    return (await this.#removeWithoutSpace(key, isToGo)) !== undefined;
  }

  /**
   * Puts the mark of an ended session in its place. One that is not to be seen is put there too, and removed then: to
   * remove the file at once would need no lock that still stands, and could hit what a rename put there meanwhile.
   */
  async #putMark(
    key: string,
    markOf: (record: SessionRecord) => SessionRecord | undefined,
  ): Promise<boolean> {
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
  async #removeExpired(key: string): Promise<SessionRecord | undefined> {
    try {
      return await this.#locked(key, async () => {
        const record = await this.#read(key);
        if (!record || !this.#isOver(record)) return undefined;
        await unlink(this.#pathOf(key)); // nobody revives what is expired, so that this may come late
        await this.#users.remove(record.userId, key);
        return record;
      });
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return this.#removeWithoutSpace(key, (record) => this.#isOver(record));
    }
  }

  #removeWithoutSpace(
    key: string,
    isToGo: (record: SessionRecord) => boolean,
  ): Promise<SessionRecord | undefined> {
    return this.#writing(async () => {
      const read = (path: string) => this.#read(key, path);
      const removed = await removeWithoutSpace(this.#sessions, key, { read, isToGo });
      await this.#users.remove(removed?.userId, key);
      return removed;
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

  /**
   * Every session, expired ones and tombstones too; one shard is in memory at a time.
   *
   * @param onFailure for a file or folder that can't be read; the others come all the same
   */
  async *#all(onFailure: OnFailure = rethrow): AsyncGenerator<StoredSession> {
    await this.#open();
    for await (const names of this.#sessions.shards(onFailure)) {
      const keys = names.filter((name) => KEY.test(name));
      for (let start = 0; start < keys.length; start += OPEN_FILES) {
        const some = keys.slice(start, start + OPEN_FILES);
        const read = (key: string) => this.#reading(() => this.#read(key)).catch(onFailure);
        const records = await Promise.all(some.map(read));
        for (const [index, record] of records.entries()) if (record) yield { key: some[index], record };
      }
    }
  }

  /** Removes what processes left that died: temporary files, locks, entries of users. */
  async #sweep(signal: AbortSignal | undefined, onFailure: OnFailure): Promise<void> {
    await removeProbes(this.#directory, LITTER_AGE_MS);
    for await (const _ of removeLitter(this.#sessions, LITTER_AGE_MS, onFailure)) if (signal?.aborted) return;
    const isThere = async (key: string) => (await this.#reading(() => this.#read(key))) !== undefined;
    for await (const _ of this.#users.sweep(LITTER_AGE_MS, isThere, onFailure)) if (signal?.aborted) return;
  }
}

function rethrow(error: unknown): never {
  throw error;
}

function writeNew(path: string, text: string): Promise<void> {
  return writeFile(path, text, { flag: 'wx', mode: 0o600 });
}
