import * as fs from 'node:fs/promises';
import { constants } from 'node:os';

/** What may be wrong with a disk; `blocks` and `inodes`: it has no more of them. */
export type Trouble = 'blocks' | 'inodes' | 'names' | 'read-only';

type Call = (...args: never[]) => Promise<unknown>;
type FileSystem = Record<string, unknown>;

/**
 * A disk that a test can fill, make read-only, or give to another user, wherever the test runs: in a container, as root, whom
 * modes do not stop, and without a mount. Its `fs` stands in the place of `node:fs/promises`:
 *
 *     const disk = new SmallDisk();
 *     jest.unstable_mockModule('node:fs/promises', () => disk.fs);
 *     const { FileSessionStore } = await import('nest-session');
 *
 * As on a real one, what is there can be read, moved and removed while it is full.
 */
export class SmallDisk {
  trouble: Trouble | undefined;
  /** Files and folders of another user, by their paths; a folder counts with what is in it. */
  readonly foreign = new Set<string>();
  /** The user to whom a folder belongs, whoever made it. */
  owner: { path: string; uid: number; gid: number } | undefined;
  /** What was given to somebody: whom, by the number of the file's inode. */
  readonly given = new Map<number, string>();
  /** Runs before a call of this name, once; `write` is that of an open file. */
  before: { name: string; run: () => Promise<void> } | undefined;

  readonly fs: FileSystem = {
    ...fs,
    mkdir: this.#guarded('mkdir', fs.mkdir, (path) => this.#makes('mkdir', path)),
    writeFile: this.#guarded('writeFile', fs.writeFile, async (path, text) => {
      await this.#makes('open', path);
      if (this.trouble !== 'blocks' || text === '') return;
      await fs.writeFile(path as string, '', { flag: 'wx' }); // the file is there, and nothing is in it
      throw failure('ENOSPC', 'write');
    }),
    open: async (...args: Parameters<typeof fs.open>) => {
      await this.#makes('open', args[0]);
      return this.#withoutBlocks(await fs.open(...args));
    },
    link: this.#guarded('link', fs.link, async () => this.#names('link')),
    rename: this.#guarded('rename', fs.rename, async () => this.#names('rename')),
    unlink: this.#guarded('unlink', fs.unlink, async () => this.#changes('unlink')),
    rmdir: this.#guarded('rmdir', fs.rmdir, async () => this.#changes('rmdir')),
    rm: this.#guarded('rm', fs.rm, async () => this.#changes('rm')),
    access: this.#guarded('access', fs.access, async () => this.#changes('access')),
    readFile: this.#guarded('readFile', fs.readFile, async (path) => this.#reads('open', path)),
    readdir: this.#guarded('readdir', fs.readdir, async (path) => this.#reads('scandir', path)),
    chown: async (path: string, uid: number, gid: number) =>
      void this.given.set((await fs.stat(path)).ino, `${uid}:${gid}`),
    stat: async (path: string) =>
      Object.assign(await fs.stat(path), path === this.owner?.path ? this.owner : {}),
  };

  #guarded<C extends Call>(name: string, call: C, guard: (...args: unknown[]) => Promise<void>): C {
    const guarded = async (...args: never[]) => {
      await this.#comesBefore(name);
      await guard(...args);
      return call(...args);
    };
    return guarded as C;
  }

  async #comesBefore(name: string): Promise<void> {
    const { before } = this;
    if (before?.name !== name) return;
    this.before = undefined;
    await before.run();
  }

  /** A file or folder: it takes an inode, unless it is there. */
  async #makes(syscall: string, path: unknown): Promise<void> {
    const isThere = await fs.stat(path as string).catch(() => undefined);
    if (!isThere && this.trouble === 'inodes') throw failure('ENOSPC', syscall);
    if (!isThere) this.#names(syscall);
  }

  /** A name may need another block for its folder. */
  #names(syscall: string): void {
    if (this.trouble === 'names') throw failure('ENOSPC', syscall);
    this.#changes(syscall);
  }

  #changes(syscall: string): void {
    if (this.trouble === 'read-only') throw failure('EROFS', syscall);
  }

  #reads(syscall: string, path: unknown): void {
    if (this.foreign.has(String(path))) throw failure('EACCES', syscall);
  }

  #withoutBlocks(file: fs.FileHandle): fs.FileHandle {
    const write = file.writeFile.bind(file);
    file.writeFile = async (...args) => {
      await this.#comesBefore('write');
      if (this.trouble === 'blocks') throw failure('ENOSPC', 'write');
      return write(...args);
    };
    return file;
  }
}

function failure(code: 'ENOSPC' | 'EROFS' | 'EACCES', syscall: string): Error {
  const errno = -constants.errno[code];
  return Object.assign(new Error(`${code}: a message of the system, ${syscall} '/a/path'`), {
    code,
    errno,
    syscall,
  });
}
