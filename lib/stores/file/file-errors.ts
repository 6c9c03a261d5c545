import { getSystemErrorMap } from 'node:util';

/** What an operator has to know beyond the system's own words. */
const KINDS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full, no blocks or no inodes are left',
  EDQUOT: 'the quota is used up',
  EROFS: 'the file system is mounted read-only',
  EACCES: 'something there belongs to another user',
  EPERM: 'something there belongs to another user, or must not be changed',
  EMFILE: 'this process has too many files open',
  ENFILE: 'this machine has too many files open',
  EIO: 'the disk can not be read or written',
};

/** `ENOENT` and its like; undefined where it is no error of the file system. */
export function codeOf(error: unknown): unknown {
  return (Object(error) as { code?: unknown }).code;
}

/** Nothing can be added to the disk; what is there can still be read, moved and removed. */
export function isDiskFull(error: unknown): boolean {
  return codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT';
}

/** Files or folders of another user; nothing is wrong with the disk. */
export function isForbidden(error: unknown): boolean {
  return codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM';
}

/** Waits for `work`; an error with one of these codes is no error. */
export async function unless(codes: readonly string[], work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!codes.includes(codeOf(error) as string)) throw error;
  }
}

/** The same error without its path, for the names of session files are keys. Other errors stay what they are. */
export function withoutPath(error: unknown): unknown {
  const { code, errno, syscall } = Object(error) as NodeJS.ErrnoException;
  if (code === undefined || errno === undefined || syscall === undefined) return error;
  const [, what] = getSystemErrorMap().get(errno) ?? [];
  const kind = Object.hasOwn(KINDS, code) ? KINDS[code] : (what ?? 'failed');
  const message = `${code}: ${kind}, ${syscall} in the session directory`;
  return Object.assign(new Error(message), { code, errno, syscall });
}
