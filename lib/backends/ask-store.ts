import { tracingChannel } from 'node:diagnostics_channel';
import {
  hasCode,
  SessionFormatException,
  SessionStoreException,
  SessionStoreTimeoutError,
  type SessionTooLargeError,
  type StoreOperation,
} from '../errors.js';
import type { SessionEvents } from '../events/session-events.js';
import { lineOfError } from '../redacted-error.js';
import { type SessionStoreUnsupportedError } from '../stores/session-store.js';

/**
 * Spans around the commands of a store, for tracers: `nest-session:store`, with `operation` in the context. Nothing that
 * names a session is in it.
 */
const tracing = tracingChannel<unknown, { operation: StoreOperation }>('nest-session:store');

const spanChannels = [tracing.start, tracing.end, tracing.asyncStart, tracing.asyncEnd, tracing.error];

const isTraced = (): boolean => spanChannels.some((each) => each.hasSubscribers);

/** Asks a store, for no longer than `storeTimeout`; what comes later is not listened to. */
export class AskStore {
  constructor(
    private readonly storeTimeoutMs: number,
    private readonly events: SessionEvents,
  ) {}

  /**
   * @throws SessionStoreException (503) for whatever the store throws; SessionStoreUnsupportedError and SessionTooLargeError
   * (what is stored would be larger than `maxSize`) as they are;
   * SessionFormatException (503) when the store met a session of a newer release
   */
  ask<T>(operation: StoreOperation, work: () => Promise<T>): Promise<T> {
    if (!isTraced()) return this.#ask(operation, work);
    return this.#askTraced(operation, work);
  }

  /** Node puts what a traced promise holds into the context: a record must not be seen there. */
  async #askTraced<T>(operation: StoreOperation, work: () => Promise<T>): Promise<T> {
    let answer!: T;
    await tracing.tracePromise(
      async () => {
        answer = await this.#ask(operation, work);
      },
      { operation },
    );
    return answer;
  }

  #ask<T>(operation: StoreOperation, work: () => Promise<T>): Promise<T> {
    const { storeTimeoutMs } = this;
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      const fail = (error: unknown): void => {
        clearTimeout(timer);
        if (!isOver) reject(this.#told(operation, error));
        isOver = true;
      };
      const timer = setTimeout(() => fail(new SessionStoreTimeoutError(storeTimeoutMs)), storeTimeoutMs);
      timer.unref();
      try {
        work().then((answer) => {
          clearTimeout(timer);
          resolve(answer);
        }, fail);
      } catch (error) {
        fail(error); // a store that throws instead of rejecting
      }
    });
  }

  #told(operation: StoreOperation, error: unknown): Error {
    if (isUnsupported(error) || isTooLarge(error)) return error;
    return isNewerFormat(error) ? this.#newerFormat(error) : this.failed(operation, error);
  }

  #newerFormat(met: SessionFormatException): SessionFormatException {
    const [handle, format] = [String(met.handle), Number(met.format)];
    this.events.emit('newerFormat', { handle, format });
    const message = `A session was written by a newer release of nest-session (format ${format}): it is left as it is.`;
    this.events.warnOnce('newerFormat', message);
    return new SessionFormatException(handle, format);
  }

  /** Tells of a failure: each time as an event, and in the log one line for each kind of it while it lasts. */
  failed(operation: StoreOperation, cause: unknown): SessionStoreException {
    const exception = new SessionStoreException(operation, cause);
    this.events.emit('storeFailed', { operation });
    const line = lineOfError(exception.cause);
    const { name, code } = Object(exception.cause) as { name?: unknown; code?: unknown };
    const kind = `${operation} ${String(name)} ${String(code)}`;
    this.events.errorSometimes(kind, `The session store failed to ${operation}: ${line}`);
    return exception;
  }
}

/** Of the store's own making; also of the other build of the package. */
function isNewerFormat(error: unknown): error is SessionFormatException {
  return hasCode(error, 'SESSION_FORMAT_NEWER');
}

/** A mistake of the program and no failure of the store; also of the other build of the package. */
export function isUnsupported(error: unknown): error is SessionStoreUnsupportedError {
  return hasCode(error, 'SESSION_STORE_UNSUPPORTED');
}

/** The store is well, and what it was to write is too much; also of the other build. */
function isTooLarge(error: unknown): error is SessionTooLargeError {
  return hasCode(error, 'SESSION_TOO_LARGE');
}
