import type { EpochMs } from '../../../core/clock.js';
import { pause } from '../../../core/pause.js';
import type { DeleteExpiredOptions } from '../../session-store.js';
import type { SessionTable } from '../session-table.js';

/**
 * SQLite queues nobody: who finds the database locked looks again after 1, 2, 5, 10, 15, 20, 25, 25, 25 ms, and then
 * less often. So long it has to be free between two batches, or a writer in another process might wait for seconds.
 */
const FREE_BETWEEN_MS = 25;

/**
 * Deletes the rows that are over, batch by batch.
 *
 * @returns how many sessions were deleted, tombstones not counted
 */
export async function deleteExpiredRows(
  table: SessionTable,
  now: EpochMs,
  { signal, onProgress, batchSize = 1_000 }: DeleteExpiredOptions,
): Promise<number> {
  const walk = table.walkExpired(now, batchSize);
  let deleted = 0;
  while (!signal?.aborted) {
    const { found, sessions, isLast } = await walk.next();
    deleted += sessions;
    const told = found > 0 || !isLast ? onProgress?.(deleted) : undefined;
    if (isLast) {
      await told;
      break;
    }
    await Promise.all([told, table.canLockRows ? undefined : pause(FREE_BETWEEN_MS, { signal })]);
  }
  return deleted;
}
