import { randomBytes } from 'node:crypto';
import { mkdir, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SessionOptionsError } from '../../errors.js';
import { codeOf, unless } from './file-errors.js';
import { linkIfFree } from './session-lock.js';

/**
 * Makes the directory ready: it is created if only it itself is missing, for a missing parent is more likely a slip of
 * the pen.
 *
 * @throws SessionOptionsError when sessions can't be kept there, or others could read them
 */
export async function openDirectory(directory: string): Promise<void> {
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
  try {
    await probe(directory);
    for (const name of ['sessions', 'users'])
      await unless(['EEXIST'], mkdir(join(directory, name), { mode: 0o700 }));
  } catch (error) {
    throw wrong(directory, reasonOf(error, directory));
  }
}

/** Does what a store does: makes a file, and gives it a second name. */
async function probe(directory: string): Promise<void> {
  const path = join(directory, `probe.${randomBytes(8).toString('hex')}`);
  await writeFile(path, '', { flag: 'wx', mode: 0o600 });
  try {
    await linkIfFree(path, `${path}.link`);
    await unlink(`${path}.link`);
  } finally {
    await unlink(path);
  }
}

function reasonOf(error: unknown, directory: string): string {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return `can't be created, for ${dirname(directory)} is not there: create that first`;
  if (code === 'ENOTDIR') return `can't be created, for ${dirname(directory)} is a file: name a directory`;
  if (syscall === 'link')
    return `lies on a file system without hard links (${code}): name one on a local disk`;
  return `can't be written (${String(codeOf(error))}): give it to the user whom the application runs as, or name another one`;
}

function wrong(directory: string, what: string): SessionOptionsError {
  return new SessionOptionsError([`directory ${directory} of FileSessionStore ${what}.`]);
}
