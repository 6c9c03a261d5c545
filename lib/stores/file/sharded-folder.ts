import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, unless } from './file-errors.js';

/** 16^3 = 4,096 shards: about 250 files in each when there are a million. */
const SHARD_LENGTH = 3;

/**
 * A folder whose files lie in folders of their own, by the first characters of their names, which are hexadecimal
 * hashes. A shard is made when its first file is, and stays; the folder itself is never made again, so that a disk
 * that went away is not taken for one on which there are no sessions.
 */
export class ShardedFolder {
  constructor(readonly path: string) {}

  pathOf(name: string): string {
    return join(this.path, shardOf(name), name);
  }

  /** Runs `write`, which makes a file by that name, and again with a new shard where that was missing. */
  async writing<T>(name: string, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
    await unless(['EEXIST'], mkdir(join(this.path, shardOf(name)), { mode: 0o700 }));
    return write();
  }

  /** The names in the shard to which `name` belongs. */
  async namesBeside(name: string): Promise<string[]> {
    try {
      return await readdir(join(this.path, shardOf(name)));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      await this.check();
      return [];
    }
  }

  /** The names in each shard, one shard after the other. */
  async *shards(): AsyncGenerator<string[]> {
    for (const shard of await readdir(this.path)) yield await readdir(join(this.path, shard));
  }

  /** @throws when the folder is not there: then nothing can be said of what is in it */
  async check(): Promise<void> {
    await stat(this.path);
  }
}

function shardOf(name: string): string {
  return name.slice(0, SHARD_LENGTH);
}
