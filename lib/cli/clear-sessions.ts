import { setTimeout as delay } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { type Duration, durationMs } from '../core/duration.js';
import type { SessionStore } from '../stores/session-store.js';
import { SESSION_STORE } from '../tokens.js';

export interface ClearSessionsOptions {
  /** At most so many sessions in one statement. */
  batchSize?: number;
  /** [0] Time for others between two batches. */
  pause?: Duration;
  /** Ends the work after the batch in hand. */
  signal?: AbortSignal;
  /** Called after each batch with the number of sessions deleted so far. */
  onProgress?: (deleted: number) => void;
}

/**
 * Deletes the expired sessions of an application.
 *
 * @returns how many were deleted
 */
export async function clearSessions(
  app: INestApplicationContext,
  options: ClearSessionsOptions = {},
): Promise<number> {
  const { batchSize, pause = 0, signal, onProgress } = options;
  const store = app.get<SessionStore>(SESSION_STORE, { strict: false });
  const pauseMs = durationMs(pause) ?? 0;
  if (pauseMs === 0) return store.deleteExpired({ batchSize, signal, onProgress });

  let deleted = 0;
  while (!signal?.aborted) {
    const batch = await deleteOneBatch(store, batchSize);
    if (!batch.foundSome) break;
    deleted += batch.deleted;
    onProgress?.(deleted);
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
  }
  return deleted;
}

/** A batch may hold tombstones alone, which are not counted. */
async function deleteOneBatch(store: SessionStore, batchSize?: number) {
  const stop = new AbortController();
  let foundSome = false;
  const onProgress = () => {
    foundSome = true;
    stop.abort();
  };
  const deleted = await store.deleteExpired({ batchSize, signal: stop.signal, onProgress });
  return { deleted, foundSome };
}
