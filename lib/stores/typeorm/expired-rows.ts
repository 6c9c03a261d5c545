import { Logger } from '@nestjs/common';
import { LessThanOrEqual } from 'typeorm';
import type { EpochMs } from '../../core/clock.js';
import { RECORD_FORMAT, type SessionRecord } from '../../core/record.js';
import type { SessionEntity } from './session.entity.js';
import { recordOf } from './session-row.js';
import type { SessionTable } from './session-table.js';

/** A shutdown waits no longer: on SQLite a deletion waits for the application's transaction, however long that takes. */
const MAX_WAIT_MS = 1_000;

/**
 * Deletes expired rows that requests meet, in the background: no request waits for it, and the next one need not read the
 * row again. A row that can't be deleted now stays for the sweep.
 */
export class ExpiredRows {
  /** By key, so that a burst of requests with one dead cookie is one statement. */
  readonly #deletions = new Map<string, Promise<void>>();
  #hasWarned = false;

  /** @param onExpired told of each session that was deleted here; one of many processes is told */
  constructor(private readonly onExpired: (record: SessionRecord) => void) {}

  /** @param now the time at which the row was found to be over: one that got a later deadline since then stays */
  delete(table: SessionTable, row: SessionEntity, now: EpochMs): void {
    const { handle, key, format } = row;
    if (format > RECORD_FORMAT || this.#deletions.has(key)) return;
    const where = { handle, key, expiresAt: LessThanOrEqual(now), format: LessThanOrEqual(RECORD_FORMAT) };
    // Requests go first, also on SQLite, where a statement holds up the process.
    const deleting = new Promise(setImmediate)
      .then(() => table.delete(where))
      .then((deleted) => {
        if (deleted > 0 && row.gone === null) this.onExpired(recordOf(row));
      })
      .catch(() => this.#warnOnce())
      .finally(() => this.#deletions.delete(key));
    this.#deletions.set(key, deleting);
  }

  /** Resolves when nothing is being deleted any more, or a second has passed. */
  async settled(): Promise<void> {
    if (this.#deletions.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise((resolve) => (timer = setTimeout(resolve, MAX_WAIT_MS)));
    await Promise.race([patience, Promise.all(this.#deletions.values())]);
    clearTimeout(timer);
  }

  // Without the driver's error: keys may stand in it.
  #warnOnce(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    new Logger('Session').warn(
      'An expired session that a request brought could not be deleted; it stays until expired ones are cleared.',
    );
  }
}
