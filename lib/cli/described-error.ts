import { lineOfError, withoutSecrets } from '../redacted-error.js';
import { CommandError, EXIT } from './exit-codes.js';

/** Errors of ours hold no secrets, and say what to write instead. By their code: they may come from the other build. */
const TEACHING: readonly unknown[] = ['SESSION_OPTIONS', 'SESSION_USAGE'];

/**
 * What is told of an error that the application threw when it was loaded or started.
 *
 * No session is in sight then, so that the message may stay, but for passwords in addresses and for what is as long as
 * an id, a key or a secret.
 */
export function startError(what: string, error: unknown): CommandError {
  const { code } = Object(error) as { code?: unknown };
  const text = TEACHING.includes(code) ? messageOf(error) : withoutCredentials(messageOf(error));
  return new CommandError(EXIT.failed, `${what}: ${text}`, error);
}

/** What is told of an error of the store: what SessionStoreException tells of one. */
export function storeError(error: unknown): CommandError {
  if (error instanceof CommandError) return error;
  const { code, format, message } = Object(error) as { code?: unknown; format?: unknown; message: string };
  if (code === 'SESSION_STORE_UNSUPPORTED') return new CommandError(EXIT.unsupported, message, error);
  if (code === 'SESSION_FORMAT_NEWER') {
    const newer = `A session was written by a newer release of nest-session (format ${String(format)}): update this one.`;
    return new CommandError(EXIT.failed, newer);
  }
  const safe = withoutSecrets(error);
  return new CommandError(EXIT.failed, `The session store failed: ${lineOfError(safe)}`, safe);
}

/** For --debug: where an error comes from. */
export function stackOf(error: unknown): string {
  const { stack } = Object(error) as { stack?: unknown };
  return typeof stack === 'string' ? withoutCredentials(stack) : messageOf(error);
}

/** A text without passwords in addresses, and without what is as long as an id (43), a key (64) or a good secret. */
export function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/\s]*@/g, '//…@').replace(/(?=[\w-]*\d)[\w-]{40,}/g, '…');
}

/** Some errors say nothing themselves: that of a connection on which every address failed has them in `errors`. */
export function messageOf(error: unknown): string {
  const { message, errors, code } = Object(error) as { message?: unknown; errors?: unknown; code?: unknown };
  if (typeof message === 'string' && message !== '') return message;
  if (Array.isArray(errors) && errors.length > 0) return errors.map(messageOf).join('; ');
  return typeof code === 'string' ? code : String(error);
}
