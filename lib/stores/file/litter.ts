import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { unless } from './file-errors.js';
import { isProbe } from './session-directory.js';
import { breakStaleLock, discard } from './session-lock.js';
import type { OnFailure, ShardedFolder } from './sharded-folder.js';

const LOCK = /^([0-9a-f]{64})\.lock$/;
const TEMPORARY = /^[0-9a-f]{64}\.[0-9a-f]{16}$/;

/** Removes what processes left that died, shard by shard: locks, and what was under way for so long. */
export async function* removeLitter(
  folder: ShardedFolder,
  ageMs: number,
  onFailure: OnFailure,
): AsyncGenerator<void> {
  const removeIfLitter = async (name: string) => {
    const [, locked] = LOCK.exec(name) ?? [];
    if (locked !== undefined) await breakStaleLock(folder, locked);
    if (TEMPORARY.test(name)) await discardIfOlderThan(ageMs, folder, name);
  };
  for await (const names of folder.shards(onFailure)) {
    for (const name of names) await removeIfLitter(name).catch(onFailure);
    yield;
  }
}

/** Removes what a look at the directory itself left, where its process died. */
export async function removeProbes(directory: string, ageMs: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!isProbe(name)) continue;
    const path = join(directory, name);
    await unless(['ENOENT'], unlinkIfOlderThan(ageMs, path));
  }
}

async function unlinkIfOlderThan(ageMs: number, path: string): Promise<void> {
  if (await isOlderThan(ageMs, path)) await unlink(path);
}

async function isOlderThan(ageMs: number, path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path);
  return Date.now() - mtimeMs > ageMs;
}

async function discardIfOlderThan(ageMs: number, folder: ShardedFolder, name: string): Promise<void> {
  const path = folder.pathOf(name);
  const discardIfOld = async () => {
    if (await isOlderThan(ageMs, path)) await discard(folder, path);
  };
  await unless(['ENOENT'], discardIfOld()); // it was on its way, and arrived
}
