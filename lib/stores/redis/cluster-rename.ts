import type { EpochMs } from '../../core/clock.js';
import {
  applyChange,
  type SessionChange,
  type SessionRecord,
  type Successor,
  tombstoneOf,
} from '../../core/record.js';
import { writeTime } from './session-hash.js';

/** So long a rename may take before another process gives it up: longer than any request waits for its store. */
const GIVEN_UP_AFTER_MS = 30_000;

/** So long nothing can be created under a new key that was given up: the process that began may only be slow. */
const BLOCKED_MS = 60 * 60 * 1000;

/** The single steps, each of which is one command to one server. */
export interface RenameSteps {
  /** Marks the living session as moving to `newKey`. @returns what it held; undefined when there is none */
  mark(key: string, newKey: string, givenUpAt: EpochMs): Promise<SessionRecord | undefined>;
  /** @returns false when the key is taken */
  copy(key: string, record: SessionRecord): Promise<boolean>;
  /** Notes a session in the index of its user. */
  track(key: string, record: SessionRecord): Promise<void>;
  untrack(key: string, record: SessionRecord): Promise<void>;
  /** Puts the tombstone in the place of the marked session. @returns false when it is not marked for `newKey` */
  finish(key: string, successor: Successor, tombstoneUntil: EpochMs | undefined): Promise<boolean>;
  /** Takes the mark away, and the session lives as before. @returns false when it is not marked for `newKey` */
  revive(key: string, newKey: string): Promise<boolean>;
  /** Removes the copy of a session under its new key, and sees that none comes later. */
  block(newKey: string, tombstone: SessionRecord): Promise<void>;
}

/**
 * Renames a session in a cluster, where old and new key lie in different slots and no script sees both.
 *
 *  1. Mark the old: nobody reads or writes it any more, but its data stays. One script, which returns what it held: what
 *     was acknowledged before is in it, and nothing is acknowledged after.
 *  2. Create the session under the new key, with the change applied, if that is free.
 *  3. Note it in the index of its user.
 *  4. Put the tombstone in the place of the old, if it still has our mark. Only now the caller is told.
 *
 * As long as the mark is there, nobody was told, so nobody knows the new id, and going back is always right. After a crash
 *  - before 1 nothing has happened;
 *  - between 1 and 4 the old id lets nobody in and the new one is unknown to all. When the rename is given up, 30 s later,
 *    the next who loads the old key blocks the new one, where a copy may stand, and takes the mark away: the session goes
 *    on under its old id, as it was, and nothing is lost;
 *  - after 4 it is done. The browser did not hear of its new id, as when a process dies between any save and its answer.
 * A process that was only slow finds its new key blocked in 2, or its mark gone in 4.
 *
 * To end a session from outside (`deleteByUser`), end the old key whatever its mark, and block the new one.
 */
export async function renameInCluster(
  steps: RenameSteps,
  names: { readonly key: string; readonly newKey: string },
  change: SessionChange,
  tombstoneUntil: EpochMs | undefined,
  now: EpochMs,
): Promise<'renamed' | 'gone' | 'taken'> {
  const { key, newKey } = names;
  const held = await steps.mark(key, newKey, now + GIVEN_UP_AFTER_MS).catch(async (error: unknown) => {
    await steps.revive(key, newKey).catch(() => undefined); // the answer may be lost, and the mark be there
    throw error;
  });
  if (!held) return 'gone';
  const record = await changed(steps, names, held, change);
  try {
    if (!(await steps.copy(newKey, record))) return (await steps.revive(key, newKey)) ? 'taken' : 'gone';
    await steps.track(newKey, record);
  } catch (error) {
    await giveUp(steps, key, newKey, held, now).catch(() => undefined); // else the next who loads it does
    throw error;
  }
  if (!(await steps.finish(key, { key: newKey, trail: change.trail }, tombstoneUntil))) return 'gone';
  await steps.untrack(key, held).catch(() => undefined); // it is done; an index is repaired when it is read
  return 'renamed';
}

/** @throws SessionTooLargeError; the session is what it was then */
async function changed(
  steps: RenameSteps,
  { key, newKey }: { readonly key: string; readonly newKey: string },
  held: SessionRecord,
  change: SessionChange,
): Promise<SessionRecord> {
  try {
    return applyChange(held, change);
  } catch (error) {
    await steps.revive(key, newKey);
    throw error;
  }
}

/** Ends a rename that broke off: the session is what it was. */
export async function giveUp(
  steps: RenameSteps,
  key: string,
  newKey: string,
  record: SessionRecord,
  now: EpochMs,
): Promise<void> {
  await steps.block(newKey, blockerOf(record, now));
  await steps.revive(key, newKey);
}

/** What stands under a new key that was given up. */
export function blockerOf(record: SessionRecord, now: EpochMs): SessionRecord {
  return tombstoneOf(record, 'ended', now + BLOCKED_MS);
}

/** The mark of a rename, as the hash keeps it. */
export function markOf(newKey: string, givenUpAt: EpochMs): string {
  return writeTime(givenUpAt) + newKey;
}
