import { rename, unlink } from 'node:fs/promises';
import type { SessionRecord } from '../../core/record.js';
import { codeOf, isDiskFull, unless } from './file-errors.js';
import { breakLock, linkIfFree, temporaryPath } from './session-lock.js';
import type { ShardedFolder } from './sharded-folder.js';

/** Each round needs somebody who has written the session meanwhile, on a disk that is full. */
const MAX_ROUNDS = 20;

/** What the removal asks the store for. */
export interface Removal {
  /** What stands under a path; undefined: nothing. */
  read(path: string): Promise<SessionRecord | undefined>;
  /** Whether it is to be removed: asked before it is moved, and after. */
  isToGo(record: SessionRecord): boolean;
}

/**
 * Removes a session where the disk is full, so that neither a lock nor a mark can be made: this takes no space.
 *
 * The file is moved aside, which one alone can do, and looked at once more there: a mark of where the session went is
 * put back. Who holds the lock has read the session before, and must not bring it back: the lock is broken, and what
 * was written in that moment goes in another round.
 *
 * @returns what went; undefined: nothing was there, it was no longer to go, or it has a new key by now
 */
export async function removeWithoutSpace(
  folder: ShardedFolder,
  key: string,
  removal: Removal,
): Promise<SessionRecord | undefined> {
  const path = folder.pathOf(key);
  let removed: SessionRecord | undefined;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const record = await removal.read(path);
    if (!record) return removed;
    if (!removal.isToGo(record)) return undefined;
    removed = (await takeAway(path, removal)) ?? removed;
    await breakLock(folder, key);
  }
  throw new Error(`A session was written ${MAX_ROUNDS} times in a row while it was to be removed.`);
}

async function takeAway(path: string, { read, isToGo }: Removal): Promise<SessionRecord | undefined> {
  const aside = temporaryPath(path);
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (!isDiskFull(error)) throw error;
    return takeAtOnce(path, { read, isToGo });
  }
  const taken = await read(aside);
  const mayGo = taken !== undefined && isToGo(taken);
  if (taken && !mayGo) await linkIfFree(aside, path);
  await unless(['ENOENT'], unlink(aside));
  return mayGo ? taken : undefined;
}

/** Where the folder has no room for another name. */
async function takeAtOnce(path: string, { read, isToGo }: Removal): Promise<SessionRecord | undefined> {
  const record = await read(path);
  if (!record || !isToGo(record)) return undefined;
  await unless(['ENOENT'], unlink(path));
  return record;
}
