import { RECORD_FORMAT, type SessionRecord, successorOf, type ValueTexts } from '../../core/record.js';

/**
 * A record as the cache keeps it: one text. Keyv's own serialisation takes a value named `toJSON` for a function, and
 * its in-memory store may hand out the very object that it was given; a text is nobody's to change.
 */
export function writeRecord(record: SessionRecord): string {
  return JSON.stringify(record);
}

/**
 * @returns undefined when nothing can be made of it; a `corrupt` record when only its values are unreadable; one
 * without values when its format is newer, for what this release can't read it does not guess
 */
export function readRecord(text: unknown): SessionRecord | undefined {
  const stored = parsed(text);
  if (!stored || !hasHeader(stored)) return undefined;
  const record =
    stored.successor === undefined ? stored : { ...stored, successor: successorOf(stored.successor) };
  if (record.format > RECORD_FORMAT) return { ...record, values: {} };
  if (isValueTexts(record.values)) return record;
  return { ...record, values: {}, corrupt: true };
}

function parsed(text: unknown): Record<string, unknown> | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const NUMBERS = ['format', 'createdAt', 'lastSeenAt', 'expiresAt', 'absoluteExpiresAt'];
const TEXTS = ['handle', 'policy'];

function hasHeader(record: Record<string, unknown>): record is Record<string, unknown> & SessionRecord {
  const { userId, gone } = record;
  return (
    NUMBERS.every((name) => Number.isFinite(record[name])) &&
    TEXTS.every((name) => typeof record[name] === 'string') &&
    (userId === undefined || typeof userId === 'string') &&
    (gone === undefined || gone === 'renamed' || gone === 'ended')
  );
}

function isValueTexts(values: unknown): values is ValueTexts {
  return isObject(values) && Object.values(values).every((text) => typeof text === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
