import { getSystemErrorMap } from 'node:util';

/** `ENOENT` and its like; undefined where it is no error of the file system. */
export function codeOf(error: unknown): unknown {
  return (Object(error) as { code?: unknown }).code;
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
  const message = `${code}: ${what ?? 'failed'}, ${syscall} in the session directory`;
  return Object.assign(new Error(message), { code, errno, syscall });
}
