import type { EpochMs } from '../../core/clock.js';
import {
  RECORD_FORMAT,
  type SessionRecord,
  type Successor,
  successorOf,
  tombstoneOf,
  type ValueTexts,
} from '../../core/record.js';
import type { SessionEntity } from './session.entity.js';
import { fromUserColumn, toUserColumn } from './user-column.js';
import { readValues, writeValues } from './values-text.js';

const KEY_LENGTH = 64;

/** What a record says; the names that a row goes by and its version are for the statement that writes to say. */
export type RecordColumns = Omit<
  SessionEntity,
  'handle' | 'key' | 'previousKey' | 'previousUntil' | 'trail' | 'version'
>;

export function columnsOf(record: SessionRecord): RecordColumns {
  const { format, createdAt, lastSeenAt, expiresAt, absoluteExpiresAt, policy } = record;
  return {
    format,
    createdAt,
    lastSeenAt,
    expiresAt,
    absoluteExpiresAt,
    policy,
    data: writeValues(record.values),
    userId: record.userId === undefined ? null : toUserColumn(record.userId),
    gone: record.gone ?? null,
    replacedBy: record.successor ? writeSuccessor(record.successor) : null,
  };
}

/** A row of a newer format has no values here: what this release can't read, it does not guess. */
export function recordOf(row: SessionEntity): SessionRecord {
  return recordWith(row, row.format > RECORD_FORMAT ? {} : readValues(row.data));
}

/** @param values undefined: they can't be read */
export function recordWith(row: Omit<SessionEntity, 'data'>, values: ValueTexts | undefined): SessionRecord {
  const { format, handle, createdAt, lastSeenAt, expiresAt, absoluteExpiresAt, policy } = row;
  return {
    format,
    handle,
    createdAt,
    lastSeenAt,
    expiresAt,
    absoluteExpiresAt,
    policy,
    values: values ?? {},
    ...(row.userId !== null && { userId: fromUserColumn(row.userId) }),
    ...(row.gone !== null && { gone: row.gone }),
    ...(row.replacedBy !== null && { successor: readSuccessor(row.replacedBy) }),
    ...(values === undefined && { corrupt: true as const }),
  };
}

/** A successor as its column keeps it. */
function writeSuccessor({ key, trail = '' }: Successor): string {
  return key + trail;
}

function readSuccessor(text: string): Successor | undefined {
  return successorOf({ key: text.slice(0, KEY_LENGTH), trail: text.slice(KEY_LENGTH) });
}

/** The mark that a rename left under the row's previous key, if it is still to be seen. */
export function renamedMarkOf(row: SessionEntity, now: EpochMs): SessionRecord | undefined {
  const { previousUntil } = row;
  if (previousUntil === null || previousUntil <= now) return undefined;
  const successor = successorOf({ key: row.key, trail: row.trail });
  return tombstoneOf(recordOf(row), 'renamed', previousUntil, successor);
}
