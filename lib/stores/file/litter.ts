import { stat } from 'node:fs/promises';
import { unless } from './file-errors.js';
import { breakStaleLock, discard } from './session-lock.js';
import type { ShardedFolder } from './sharded-folder.js';

const LOCK = /^([0-9a-f]{64})\.lock$/;
const TEMPORARY = /^[0-9a-f]{64}\.[0-9a-f]{16}$/;

/** Removes what processes left that died, shard by shard: locks, and what was under way for so long. */
export async function* removeLitter(folder: ShardedFolder, ageMs: number): AsyncGenerator<void> {
  for await (const names of folder.shards()) {
    for (const name of names) {
      const [, locked] = LOCK.exec(name) ?? [];
      if (locked !== undefined) await breakStaleLock(folder, locked);
      if (TEMPORARY.test(name)) await discardIfOlderThan(ageMs, folder, name);
    }
    yield;
  }
}

async function discardIfOlderThan(ageMs: number, folder: ShardedFolder, name: string): Promise<void> {
  const path = folder.pathOf(name);
  const discardIfOld = async () => {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > ageMs) await discard(folder, path);
  };
  await unless(['ENOENT'], discardIfOld()); // it was on its way, and arrived
}
