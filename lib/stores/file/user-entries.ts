import { createHash } from 'node:crypto';
import { stat, unlink, writeFile } from 'node:fs/promises';
import { unless } from './file-errors.js';
import type { OnFailure, ShardedFolder } from './sharded-folder.js';

/** An empty file per session of a user, `<SHA-256 of the user's id>.<key>`. */
const ENTRY = /^([0-9a-f]{64})\.([0-9a-f]{64})$/;

/**
 * Which sessions a user may have. An entry is made before its session and removed after it, so that no session goes
 * without; an entry without a session (a process died, or is about to make it) is no harm, for whoever reads entries
 * looks at the sessions themselves.
 */
export class UserEntries {
  constructor(private readonly folder: ShardedFolder) {}

  set owner(owner: ShardedFolder['owner']) {
    this.folder.owner = owner;
  }

  async add(userId: string | undefined, key: string): Promise<void> {
    if (userId === undefined) return;
    const name = nameOf(userId, key);
    const path = this.folder.pathOf(name);
    await this.folder.writing(name, () => writeFile(path, '', { mode: 0o600 }));
    await this.folder.give(path);
  }

  async remove(userId: string | undefined, key: string): Promise<void> {
    if (userId === undefined) return;
    await unless(['ENOENT'], unlink(this.folder.pathOf(nameOf(userId, key))));
  }

  /** Keys of all sessions that the user has, and of some that are over. */
  async keysOf(userId: string): Promise<string[]> {
    const own = nameOf(userId, '');
    const names = await this.folder.namesBeside(own);
    return names
      .filter((name) => name.startsWith(own) && ENTRY.test(name))
      .map((name) => name.slice(own.length));
  }

  /** Removes entries whose session is not there, but for young ones: theirs may be about to come. */
  async removeIfOlderThan(ageMs: number, userId: string, key: string): Promise<void> {
    await this.#removeIfOlderThan(ageMs, nameOf(userId, key));
  }

  /** All entries, shard by shard: removes those of which `isNeeded` says no. */
  async *sweep(
    ageMs: number,
    isNeeded: (key: string) => Promise<boolean>,
    onFailure: OnFailure,
  ): AsyncGenerator<void> {
    const removeUnlessNeeded = async (name: string) => {
      const key = ENTRY.exec(name)?.[2];
      if (key !== undefined && !(await isNeeded(key))) await this.#removeIfOlderThan(ageMs, name);
    };
    for await (const names of this.folder.shards(onFailure)) {
      await Promise.all(names.map((name) => removeUnlessNeeded(name).catch(onFailure)));
      yield;
    }
  }

  async #removeIfOlderThan(ageMs: number, name: string): Promise<void> {
    const path = this.folder.pathOf(name);
    await unless(
      ['ENOENT'],
      stat(path).then(({ mtimeMs }) => (Date.now() - mtimeMs > ageMs ? unlink(path) : undefined)),
    );
  }
}

function nameOf(userId: string, key: string): string {
  return `${createHash('sha256').update(userId).digest('hex')}.${key}`;
}
