import { createHash } from 'node:crypto';
import type { EpochMs } from '../../core/clock.js';
import { RECORD_FORMAT, type SessionRecord, successorOf, type ValueTexts } from '../../core/record.js';

/** How long after it was written a file that says nothing of its session counts as one. */
const UNREADABLE_FOR_MS = 24 * 60 * 60 * 1000;

/**
 * A session as its file keeps it: two lines of JSON, first all but the values, then the values. In every format the
 * first line will be an object with the number `format`, so that an older release knows what it must leave alone.
 */
export function writeSession({ values, corrupt: _, ...head }: SessionRecord): string {
  return `${JSON.stringify(head)}\n${JSON.stringify(values)}`;
}

/** @returns undefined when the first line is not that of a session */
export function readSession(text: string): SessionRecord | undefined {
  const end = text.indexOf('\n');
  const head = parseObject(end < 0 ? text : text.slice(0, end));
  if (typeof head?.format !== 'number') return undefined;
  if (head.format > RECORD_FORMAT) return newerSession(head, head.format);
  if (!isHead(head)) return undefined;
  const values = end < 0 ? undefined : parseObject(text.slice(end + 1));
  const { successor: stored, ...same } = head;
  const successor = successorOf(stored);
  const known = successor ? { ...same, successor } : same;
  const isReadable = values !== undefined && isValueTexts(values);
  return isReadable ? { ...known, values } : { ...known, values: {}, corrupt: true };
}

/**
 * What stands for a session whose file is unreadable: an anonymous session without values, for a day at most after the
 * file was written. Its handle is always the same, and does not tell the key.
 */
export function unreadableSession(key: string, writtenAt: EpochMs): SessionRecord {
  const end = writtenAt + UNREADABLE_FOR_MS;
  return {
    format: RECORD_FORMAT,
    handle: unreadableHandle(key),
    values: {},
    createdAt: writtenAt,
    lastSeenAt: writtenAt,
    expiresAt: end,
    absoluteExpiresAt: end,
    policy: '',
    corrupt: true,
  };
}

/** Whether nothing is known of the session under this key, not even whose it is. */
export function isUnreadable(key: string, { corrupt, handle }: SessionRecord): boolean {
  return corrupt === true && handle === unreadableHandle(key);
}

function unreadableHandle(key: string): string {
  return createHash('sha256').update(`unreadable ${key}`).digest('hex').slice(0, 32);
}

type Head = Omit<SessionRecord, 'values' | 'corrupt'>;

/** What this release can't read it does not guess; and what it can't judge is not over. */
function newerSession(head: Record<string, unknown>, format: number): SessionRecord {
  const time = (value: unknown) => (Number.isFinite(value) ? (value as number) : undefined);
  const { handle, userId, gone } = head;
  const expiresAt = time(head.expiresAt) ?? Number.MAX_SAFE_INTEGER;
  return {
    format,
    handle: typeof handle === 'string' ? handle : '',
    values: {},
    createdAt: time(head.createdAt) ?? 0,
    lastSeenAt: time(head.lastSeenAt) ?? 0,
    expiresAt,
    absoluteExpiresAt: time(head.absoluteExpiresAt) ?? expiresAt,
    policy: '',
    ...(typeof userId === 'string' && { userId }),
    ...((gone === 'renamed' || gone === 'ended') && { gone }),
  };
}

function isHead(head: Record<string, unknown>): head is Record<string, unknown> & Head {
  const { handle, policy, userId, gone, createdAt, lastSeenAt, expiresAt, absoluteExpiresAt } = head;
  return (
    typeof handle === 'string' &&
    typeof policy === 'string' &&
    (userId === undefined || typeof userId === 'string') &&
    (gone === undefined || gone === 'renamed' || gone === 'ended') &&
    [createdAt, lastSeenAt, expiresAt, absoluteExpiresAt].every(Number.isFinite)
  );
}

function isValueTexts(values: Record<string, unknown>): values is ValueTexts {
  return Object.values(values).every((text) => typeof text === 'string');
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const parsed = JSON.parse(text) as unknown;
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
