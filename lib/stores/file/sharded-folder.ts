import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from './file-errors.js';
import { give, type Owner } from './session-directory.js';

/** 16^3 = 4,096 shards: about 250 files in each when there are a million. */
const SHARD_LENGTH = 3;
const SHARD = /^[0-9a-f]{3}$/;

/**
 * A folder whose files lie in folders of their own, by the first characters of their names, which are hexadecimal
 * hashes. A shard is made when its first file is, and stays; the folder itself is never made again, so that a disk
 * that went away is not taken for one on which there are no sessions.
 */
export class ShardedFolder {
  /** Set before anything is made. */
  owner: Owner | undefined;

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
    await this.#makeShard(join(this.path, shardOf(name)));
    return write();
  }

  /** Lets what was just made belong to the directory's owner. */
  async give(path: string): Promise<void> {
    await give(path, this.owner);
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

  /**
   * The names in each shard, one shard after the other.
   *
   * @param onFailure for a shard that can't be read; the others come all the same
   */
  async *shards(onFailure: OnFailure): AsyncGenerator<string[]> {
    for (const shard of await readdir(this.path)) {
      if (!SHARD.test(shard)) continue; // somebody else's
      const names = await readdir(join(this.path, shard)).catch(onFailure);
      if (names) yield names;
    }
  }

  /** @throws when the folder is not there: then nothing can be said of what is in it */
  async check(): Promise<void> {
    await stat(this.path);
  }

  async #makeShard(path: string): Promise<void> {
    try {
      await mkdir(path, { mode: 0o700 });
      await this.give(path);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
  }
}

/** Told of what can't be done with one file or folder, when there is more to do; or throws it. */
export type OnFailure = (error: unknown) => undefined;

function shardOf(name: string): string {
  return name.slice(0, SHARD_LENGTH);
}
