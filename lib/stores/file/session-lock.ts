import { randomBytes } from 'node:crypto';
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, isDiskFull, unless } from './file-errors.js';
import type { ShardedFolder } from './sharded-folder.js';

/** A lock is held for about a millisecond. One that stood for so long is its holder's no more. */
const STALE_AFTER_MS = 2_000;
const MAX_PAUSE_MS = 20;

const TOKEN = /^[0-9a-f]{16}$/;
const KEY = /^[0-9a-f]{64}$/;

/** A name beside a session's own that nobody else uses: of a file or folder that is under way. */
export function temporaryPath(path: string, token = newToken()): string {
  return `${path}.${token}`;
}

/** Another process took the lock for stale, so that nothing was written: begin anew. */
export class LockLostError extends Error {}

/**
 * The lock of one session, across processes: a folder beside its file, in which its holder's next version of the file
 * stands under a name of its own (the token).
 *
 *     <key>                the session
 *     <key>.lock/<token>   its next version
 *     <key>.lock/<new key> during a rename: the same file as the session <new key>
 *
 * Whoever has a folder with a token in it and can move it to `<key>.lock` holds the lock; the system moves no folder
 * over one that is not empty. The commit moves the token over the session, and so it needs the lock to be still there:
 * a holder that slept until its lock was broken can't write over what others wrote meanwhile, however late it wakes.
 * That is why breaking a lock too early does no harm, and why the two steps (lock, replace) are not left to two
 * libraries that do not know of each other.
 */
export class SessionLock {
  #isCommitted = false;

  private constructor(
    private readonly folder: ShardedFolder,
    private readonly key: string,
    private readonly token: string,
    private readonly next: FileHandle,
  ) {}

  /** Waits until the lock is free, and takes it. @returns undefined when there is no such session, nor its shard */
  static async take(folder: ShardedFolder, key: string): Promise<SessionLock | undefined> {
    const token = newToken();
    const own = temporaryPath(folder.pathOf(key), token);
    try {
      await mkdir(own, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      await folder.check();
      return undefined;
    }
    let next: FileHandle | undefined;
    try {
      await folder.give(own);
      next = await open(join(own, token), 'wx', 0o600);
      await folder.give(join(own, token));
      await moveWhenFree(folder, key, own);
      return new SessionLock(folder, key, token, next);
    } catch (error) {
      await next?.close();
      await rm(own, { recursive: true, force: true });
      throw error;
    }
  }

  /** Replaces the session's file, in one step. @throws LockLostError; nothing was written then */
  async commit(text: string): Promise<void> {
    await this.next.writeFile(text);
    await this.next.close();
    await this.#ifHeld(() => rename(join(this.#path, this.token), this.folder.pathOf(this.key)));
    this.#isCommitted = true;
  }

  /**
   * Replaces the session's file by `mark`, and makes a session under another key: if the process dies between the two,
   * the lock says so, and whoever breaks it takes the new session away.
   *
   * @returns false when the new key is taken; nothing was written then
   * @throws LockLostError; nothing is left then
   */
  async commitRename(mark: string, newKey: string, text: string): Promise<boolean> {
    const newPath = this.folder.pathOf(newKey);
    const moving = join(this.#path, newKey);
    let isMade = false;
    try {
      await this.#ifHeld(() => writeFile(moving, text, { flag: 'wx', mode: 0o600 }));
      await this.#ifHeld(() => this.folder.give(moving));
      isMade = await this.#ifHeld(() => this.folder.writing(newKey, () => linkIfFree(moving, newPath)));
      if (isMade) await this.commit(mark);
      return isMade;
    } finally {
      if (isMade && !this.#isCommitted) await unless(['ENOENT'], unlink(newPath));
      await unless(['ENOENT'], unlink(moving));
    }
  }

  async release(): Promise<void> {
    if (!this.#isCommitted) {
      await this.next.close();
      await unless(['ENOENT'], unlink(join(this.#path, this.token)));
    }
    await unless(['ENOENT', 'ENOTEMPTY', 'EEXIST'], rmdir(this.#path)); // if not empty, it is another's by now
  }

  get #path(): string {
    return lockPath(this.folder, this.key);
  }

  async #ifHeld<T>(write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      throw codeOf(error) === 'ENOENT' ? new LockLostError() : error;
    }
  }
}

/** Makes a file known under a second name. @returns false when the name is taken */
export async function linkIfFree(path: string, newPath: string): Promise<boolean> {
  try {
    await link(path, newPath);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Breaks the lock of a session, if there is one and it is stale. */
export async function breakStaleLock(folder: ShardedFolder, key: string): Promise<void> {
  const changedAt = (await stateOf(lockPath(folder, key)))?.changedAt;
  if (changedAt !== undefined && isStale(changedAt)) await breakLock(folder, key);
}

/**
 * Removes what a process left that died: a temporary file, or a lock that was moved aside. Where the process died in
 * the middle of a rename, the session under the new key goes: the old one lives.
 */
export async function discard(folder: ShardedFolder, path: string): Promise<void> {
  const names = await namesIn(path);
  const isUncommitted = names.some((name) => TOKEN.test(name));
  if (isUncommitted) for (const name of names) if (KEY.test(name)) await undoRename(folder, path, name);
  await rm(path, { recursive: true, force: true });
}

/** Removes the session under its new key, and what it is known by in the lock. */
async function undoRename(folder: ShardedFolder, lock: string, newKey: string): Promise<void> {
  const isOurs = await isSameFile(join(lock, newKey), folder.pathOf(newKey));
  if (isOurs) await unless(['ENOENT'], unlink(folder.pathOf(newKey)));
  await unless(['ENOENT'], unlink(join(lock, newKey)));
}

async function moveWhenFree(folder: ShardedFolder, key: string, own: string): Promise<void> {
  const lock = lockPath(folder, key);
  let watched: { changedAt: number; since: number } | undefined;
  for (let pauseMs = 1; !(await moveIfFree(own, lock)); pauseMs = Math.min(pauseMs * 1.5, MAX_PAUSE_MS)) {
    const state = await stateOf(lock);
    if (!state) continue;
    if (watched?.changedAt !== state.changedAt) watched = { ...state, since: performance.now() };
    // Watching it counts too, for the clock may have been set back.
    if (isStale(state.changedAt) || performance.now() - watched.since > STALE_AFTER_MS)
      await breakLock(folder, key);
    else await sleep(pauseMs * (0.5 + Math.random()));
  }
}

async function moveIfFree(own: string, lock: string): Promise<boolean> {
  try {
    await rename(own, lock);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** One alone can move a lock aside; whatever its holder does then finds nothing. */
export async function breakLock(folder: ShardedFolder, key: string): Promise<void> {
  const aside = temporaryPath(folder.pathOf(key));
  try {
    await rename(lockPath(folder, key), aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    if (isDiskFull(error)) return breakWhereItIs(folder, key); // not even another name has room
    throw error;
  }
  await discard(folder, aside);
}

/** Without the token its holder can't commit; where that had gone by then, it has committed. */
async function breakWhereItIs(folder: ShardedFolder, key: string): Promise<void> {
  const lock = lockPath(folder, key);
  const names = await namesIn(lock);
  const token = names.find((name) => TOKEN.test(name));
  if (token === undefined) return;
  try {
    await unlink(join(lock, token));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  for (const name of names) if (KEY.test(name)) await undoRename(folder, lock, name);
}

/** When a lock was taken or last written: moving a folder changes its ctime, and not its mtime. */
async function stateOf(lock: string): Promise<{ changedAt: number } | undefined> {
  try {
    return { changedAt: (await stat(lock)).ctimeMs };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isStale(changedAt: number): boolean {
  return Date.now() - changedAt > STALE_AFTER_MS;
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

async function isSameFile(path: string, other: string): Promise<boolean> {
  const [one, two] = await Promise.allSettled([stat(path), stat(other)]);
  return one.status === 'fulfilled' && two.status === 'fulfilled' && one.value.ino === two.value.ino;
}

function lockPath(folder: ShardedFolder, key: string): string {
  return `${folder.pathOf(key)}.lock`;
}

function newToken(): string {
  return randomBytes(8).toString('hex');
}
