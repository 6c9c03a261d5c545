import { tracingChannel } from 'node:diagnostics_channel';
import { SessionStoreException, SessionStoreTimeoutError, type StoreOperation } from '../errors.js';
import type { SessionEvents } from '../events/session-events.js';
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

  /** @throws SessionStoreException (503) for whatever the store throws; SessionStoreUnsupportedError as it is */
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
        if (!isOver) reject(isUnsupported(error) ? error : this.failed(operation, error));
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

  failed(operation: StoreOperation, cause: unknown): SessionStoreException {
    const exception = new SessionStoreException(operation, cause);
    this.events.emit('storeFailed', { operation });
    this.events.error(`The session store failed to ${operation}: ${String(exception.cause)}`);
    return exception;
  }
}

/** A mistake of the program and no failure of the store; also of the other build of the package. */
export function isUnsupported(error: unknown): error is SessionStoreUnsupportedError {
  return (error as Partial<SessionStoreUnsupportedError> | undefined)?.code === 'SESSION_STORE_UNSUPPORTED';
}
