import { randomBytes } from 'node:crypto';
import { access, chown, constants, link, mkdir, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SessionOptionsError } from '../../errors.js';
import { codeOf, isDiskFull, isForbidden, unless } from './file-errors.js';

const PROBE = /^probe\.[0-9a-f]{16}(?:\.link)?$/;
const FOLDERS = ['sessions', 'users'];

/** More than any file system keeps beside a file's name: it takes a block. */
const PROBE_TEXT = ' '.repeat(4_096);

/** Who is to own what is made in the directory. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface OpenedDirectory {
  /** Set when this process is root's, and the directory is not: what root leaves there, its user could not read. */
  readonly owner: Owner | undefined;
  /** Nothing can be written at the moment; sessions can be read, ended and cleared. */
  readonly isFull: boolean;
}

/**
 * Makes the directory ready: it is created if only it itself is missing, for a missing parent is more likely a slip of
 * the pen.
 *
 * @throws SessionOptionsError when sessions can't be kept there, or others could read them. A full disk is no such
 * mistake, unless the directory is new: it can have room again, and `nest-session clear` has to start then
 */
export async function openDirectory(directory: string): Promise<OpenedDirectory> {
  try {
    await unless(['EEXIST'], mkdir(directory, { mode: 0o700 }));
  } catch (error) {
    throw wrong(directory, reasonOf(error, directory));
  }
  const found = await stat(directory);
  if (!found.isDirectory()) throw wrong(directory, 'is a file: name a directory');
  if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
    throw wrong(
      directory,
      `can be opened by others on this machine: \`chmod 700 ${directory}\`, or name a directory in it that is not ` +
        `there yet, \`directory: '${join(directory, 'sessions')}'\``,
    );
  }
  const owner = process.geteuid?.() === 0 && found.uid !== 0 ? { uid: found.uid, gid: found.gid } : undefined;
  try {
    for (const name of FOLDERS) await makeFolder(join(directory, name), owner);
    return { owner, isFull: await isFull(directory) };
  } catch (error) {
    throw wrong(directory, reasonOf(error, directory));
  }
}

/** Does what a store does: makes a file, and gives it a second name. @throws what a write would throw */
export async function probe(directory: string): Promise<void> {
  for (const name of FOLDERS) await access(join(directory, name), constants.W_OK | constants.X_OK);
  const path = join(directory, `probe.${randomBytes(8).toString('hex')}`);
  try {
    await writeFile(path, PROBE_TEXT, { flag: 'wx', mode: 0o600 });
    await link(path, `${path}.link`);
    await unlink(`${path}.link`);
  } finally {
    await unless(['ENOENT'], unlink(path)).catch(() => undefined); // why it is there still, the first error tells
  }
}

/** A file of {@link probe}; a process may have died before it removed it. */
export function isProbe(name: string): boolean {
  return PROBE.test(name);
}

/** Gives a file or folder to the owner of the directory, where root makes it. */
export async function give(path: string, owner: Owner | undefined): Promise<void> {
  if (owner) await unless(['EPERM'], chown(path, owner.uid, owner.gid)); // a root that may not: as it is
}

async function makeFolder(path: string, owner: Owner | undefined): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
    await give(path, owner);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

async function isFull(directory: string): Promise<boolean> {
  try {
    await probe(directory);
    return false;
  } catch (error) {
    if (isDiskFull(error)) return true;
    throw error;
  }
}

function reasonOf(error: unknown, directory: string): string {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return `can't be created, for ${dirname(directory)} is not there: create that first`;
  if (code === 'ENOTDIR') return `can't be created, for ${dirname(directory)} is a file: name a directory`;
  if (isDiskFull(error))
    return `can't be created, for its disk is full (${code}): make room, or name another one`;
  if (code === 'EROFS')
    return `can't be written, for its file system is read-only (EROFS): mount it for writing, or name another one`;
  if (syscall === 'link')
    return `lies on a file system without hard links (${code}): name one on a local disk`;
  if (isForbidden(error))
    return (
      `can't be written (${code}): give it, with all that is in it, to the user whom the application runs as ` +
      `(\`chown -R … ${directory}\`), or name another one`
    );
  return `can't be written (${String(code)}): name one on a local disk`;
}

function wrong(directory: string, what: string): SessionOptionsError {
  return new SessionOptionsError([`directory ${directory} of FileSessionStore ${what}.`]);
}
