import type { EpochMs } from '../../core/clock.js';
import { pause } from '../../core/pause.js';
import { RECORD_FORMAT } from '../../core/record.js';
import type { DeleteExpiredOptions } from '../session-store.js';
import { BatchSize } from './batch-size.js';
import type { SessionTable } from './session-table.js';

/** Below what a visitor notices, and far below any statement timeout. */
const WITH_ROW_LOCKS = { first: 1_000, min: 250, targetMs: 100 };

/** Here a batch holds up all writers, and, for better-sqlite3 is synchronous, all else that the process does. */
const WITH_ONE_WRITER = { first: 100, min: 100, targetMs: 15 };

/**
 * SQLite queues nobody: who finds the database locked looks again after 1, 2, 5, 10, 15, 20, 25, 25, 25 ms, and then
 * less often. So long it has to be free between two batches, or a writer in another process might wait for seconds.
 */
const FREE_BETWEEN_MS = 25;

/**
 * Deletes the rows that are over, the oldest first.
 *
 * Each batch goes on where the last one ended. The index on `expiresAt` keeps entries of deleted rows until the database
 * cleans up behind itself, so that a batch which began at the beginning would have to pass over more of them each time.
 *
 * @returns how many sessions were deleted, tombstones not counted
 */
export async function deleteExpiredRows(
  table: SessionTable,
  now: EpochMs,
  { signal, onProgress, batchSize = 1_000 }: DeleteExpiredOptions,
): Promise<number> {
  const size = new BatchSize(batchSize, table.canLockRows ? WITH_ROW_LOCKS : WITH_ONE_WRITER);
  let oldest: EpochMs = 0;
  let deleted = 0;
  while (!signal?.aborted) {
    const { rows } = size;
    const start = performance.now();
    const batch = await table.deleteExpired({ oldest, now, format: RECORD_FORMAT }, rows);
    const milliseconds = performance.now() - start;
    deleted += batch.sessions;
    const told = batch.found > 0 ? onProgress?.(deleted) : undefined;
    if (batch.found < rows) {
      await told;
      break;
    }
    size.adapt(milliseconds);
    oldest = batch.latest;
    await Promise.all([told, table.canLockRows ? undefined : pause(FREE_BETWEEN_MS, { signal })]);
  }
  return deleted;
}
