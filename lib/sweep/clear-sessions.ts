import type { INestApplicationContext } from '@nestjs/common';
import { type Duration, durationMs } from '../core/duration.js';
import { pause } from '../core/pause.js';
import { isBatchSize } from '../options/resolve-sweep.js';
import type { SessionStore } from '../stores/session-store.js';
import { SESSION_STORE } from '../tokens.js';

/**
 * Measured on PostgreSQL beside 64 clients (bench/cleaning.js): their p99 grows by a third; without a pause it takes three
 * times as long.
 */
export const DEFAULT_PAUSE = '20ms';

export interface ClearSessionsOptions {
  /** [1000] At most so many sessions in one statement. */
  batchSize?: number;
  /** ['20ms'] Between two batches, for those who use the sessions meanwhile; 0: as fast as the store can. */
  pause?: Duration;
  /** Ends the work after the batch in hand. */
  signal?: AbortSignal;
  /** Called after each batch with the number of sessions deleted so far. */
  onProgress?: (deleted: number) => void;
}

/**
 * Deletes the sessions that are over, now: for a job of `@nestjs/schedule`, a worker or a script. Where the store
 * clears them by itself (Redis), there is nothing to do.
 *
 * @param app the application, an application context, or the `ModuleRef` of any module
 * @returns how many sessions were deleted, also when `signal` ended the work before its time
 * @throws TypeError for an option that makes no sense; SessionStoreUnsupportedError when the store has no
 * `deleteExpired`; the store's own error when it fails
 * @example
 * \@Cron('0 3 * * *')
 * clear() { return clearSessions(this.moduleRef); }
 */
export async function clearSessions(
  app: Pick<INestApplicationContext, 'get'>,
  { batchSize = 1_000, pause: between = DEFAULT_PAUSE, signal, onProgress }: ClearSessionsOptions = {},
): Promise<number> {
  const pauseMs = durationMs(between);
  if (pauseMs === undefined)
    throw new TypeError("pause is no duration: write seconds as a number, or a text with a unit: '50ms'.");
  if (!isBatchSize(batchSize)) throw new TypeError('batchSize is a number of sessions: write 1000.');

  const store = app.get<SessionStore>(SESSION_STORE, { strict: false });
  const afterBatch = (deleted: number): unknown => {
    onProgress?.(deleted);
    return pauseMs > 0 ? pause(pauseMs, { signal }) : undefined;
  };
  return store.deleteExpired({ batchSize, signal, onProgress: afterBatch });
}
