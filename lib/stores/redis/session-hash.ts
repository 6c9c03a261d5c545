import { hash } from 'node:crypto';
import type { EpochMs } from '../../core/clock.js';
import {
  RECORD_FORMAT,
  type SessionRecord,
  type Successor,
  successorOf,
  tombstoneOf,
  type Writable,
} from '../../core/record.js';
import { readText, writeText } from '../stored-text.js';

/*
 * A session is a hash. Redis keeps a hash in one compact block as long as no value is longer than 64 bytes, and pays some
 * 60 bytes for each field of any other: so there are as few fields as possible, and all that every session has is one
 * field of 60 bytes.
 *
 *   m        the meta field: format '.' handle created lastSeen expires absolute gone
 *            handle: 22 characters, base64url · times: 9 each, base 36 · gone: nothing, or one letter
 *   p        the expiry policy, unless it is the module's own
 *   u        the user
 *   h        the handle, where it is none of ours
 *   n        during a rename in a cluster: when it is given up, and the new key
 *   s        of a tombstone: its successor, the key and behind it the trail
 *   :name    a value
 *
 * scripts.ts knows the positions in the meta field too. A newer format keeps its shape, so that an older release can tell
 * whose it is, how long it lives, and that it must not touch it.
 */
export const VALUE = ':';
export const TIME_LENGTH = 9;
const HANDLE_LENGTH = 22;
const KEY_LENGTH = 64;
const META = new RegExp(`^(\\d+)\\.(.{${HANDLE_LENGTH}})((?:[0-9a-z]{${TIME_LENGTH}}){4})([rem]?)$`);
const FOREIGN_HANDLE = '.'.repeat(HANDLE_LENGTH);
const MAX_TIME = 36 ** TIME_LENGTH - 1;
const GONE_LETTERS = { renamed: 'r', ended: 'e' } as const;

const UNREADABLE_FOR_MS = 24 * 60 * 60 * 1000;

/** A hash as it was read. */
export interface StoredHash {
  readonly record: SessionRecord;
  /** A rename of it is under way in a cluster, or was and broke off. */
  readonly moving?: { readonly newKey: string; readonly until: EpochMs };
}

/** Fields and values, one after the other, as HSET takes them. */
export function fieldsOf(record: SessionRecord): string[] {
  const { policy, userId, handle, successor } = record;
  const fields = ['m', metaOf(record)];
  if (policy !== '') fields.push('p', writeText(policy));
  if (userId !== undefined) fields.push('u', writeText(userId));
  if (successor) fields.push('s', writeSuccessor(successor));
  if (shortHandle(handle) === FOREIGN_HANDLE) fields.push('h', writeText(handle));
  return [...fields, ...valueFieldsOf(record.values)];
}

export function valueFieldsOf(values: SessionRecord['values']): string[] {
  const fields: string[] = [];
  for (const name of Object.keys(values)) fields.push(valueField(name), writeText(values[name]));
  return fields;
}

export function valueField(name: string): string {
  return VALUE + writeText(name);
}

/** The user as the `u` field and the name of their index have it. */
export const userField = writeText;

/** @returns undefined when this is no session: nothing there, or nothing that can be told a session */
export function readHash(fields: ReadonlyMap<string, string>): StoredHash | undefined {
  const meta = readMeta(fields.get('m'));
  if (!meta) return undefined;
  const policy = readText(fields.get('p') ?? '') ?? '';
  const userId = optional(fields.get('u'));
  const handle = optional(fields.get('h')) ?? meta.record.handle;
  const values = meta.record.format > RECORD_FORMAT || meta.record.gone ? {} : readValues(fields);
  const { format, createdAt, lastSeenAt, expiresAt, absoluteExpiresAt, gone } = meta.record;
  // Property by property: every load makes one, and spreads are slow.
  const record: Writable<SessionRecord> = {
    format,
    handle,
    values: values ?? {},
    createdAt,
    lastSeenAt,
    expiresAt,
    absoluteExpiresAt,
    policy,
  };
  if (userId !== undefined) record.userId = userId;
  if (gone) record.gone = gone;
  const successor = gone ? readSuccessor(fields.get('s')) : undefined;
  if (successor) record.successor = successor;
  if (values === undefined) record.corrupt = true;
  return meta.isMoving ? movingHash(record, fields.get('n')) : { record };
}

/**
 * What stands for a session whose meta field is unreadable: an anonymous session without values, for a day. Its handle is
 * always the same, and does not tell the key.
 */
export function unreadableSession(key: string, now: EpochMs): SessionRecord {
  const end = now + UNREADABLE_FOR_MS;
  return {
    format: RECORD_FORMAT,
    handle: hash('sha256', `unreadable ${key}`).slice(0, 32),
    values: {},
    createdAt: now,
    lastSeenAt: now,
    expiresAt: end,
    absoluteExpiresAt: end,
    policy: '',
    corrupt: true,
  };
}

/** What the meta field says, for whoever has read nothing else. */
export function readMeta(
  text: string | null | undefined,
): { record: SessionRecord; isMoving: boolean } | undefined {
  const [, format, short = '', times = '', letter] = META.exec(text ?? '') ?? [];
  if (format === undefined) return undefined;
  const [createdAt = 0, lastSeenAt = 0, expiresAt = 0, absoluteExpiresAt = 0] = readTimes(times);
  const handle = Buffer.from(short, 'base64url').toString('hex');
  const gone = letter === 'r' ? 'renamed' : letter === 'e' ? 'ended' : undefined;
  return {
    record: {
      format: Number(format),
      handle,
      values: {},
      createdAt,
      lastSeenAt,
      expiresAt,
      absoluteExpiresAt,
      policy: '',
      ...(gone && { gone }),
    },
    isMoving: letter === 'm',
  };
}

/** A time as the meta field and the scripts have it. */
export function writeTime(time: EpochMs): string {
  return Math.min(Math.max(Math.round(time), 0), MAX_TIME)
    .toString(36)
    .padStart(TIME_LENGTH, '0');
}

/** The meta field. */
export function metaOf(record: SessionRecord): string {
  const { format, handle, createdAt, lastSeenAt, expiresAt, absoluteExpiresAt, gone } = record;
  const times = [createdAt, lastSeenAt, expiresAt, absoluteExpiresAt].map(writeTime);
  return `${format}.${shortHandle(handle)}${times.join('')}${gone ? GONE_LETTERS[gone] : ''}`;
}

/** A handle as the scripts compare it: short, or as the `h` field has it. */
export function handleText(handle: string): string {
  const short = shortHandle(handle);
  return short === FOREIGN_HANDLE ? writeText(handle) : short;
}

function shortHandle(handle: string): string {
  if (!/^[0-9a-f]{32}$/.test(handle)) return FOREIGN_HANDLE;
  return Buffer.from(handle, 'hex').toString('base64url');
}

/** A successor as the field has it. */
export function writeSuccessor({ key, trail = '' }: Successor): string {
  return key + writeText(trail);
}

function readSuccessor(stored: string | undefined): Successor | undefined {
  if (stored === undefined) return undefined;
  return successorOf({ key: stored.slice(0, KEY_LENGTH), trail: readText(stored.slice(KEY_LENGTH)) });
}

function readTimes(times: string): EpochMs[] {
  return (times.match(/.{9}/g) ?? []).map((time) => Number.parseInt(time, 36));
}

function readValues(fields: ReadonlyMap<string, string>): SessionRecord['values'] | undefined {
  const values: Record<string, string> = { __proto__: null } as never; // a value may be named `__proto__`
  for (const [field, stored] of fields) {
    if (!field.startsWith(VALUE)) continue;
    const [name, text] = [readText(field.slice(VALUE.length)), readText(stored)];
    if (name === undefined || text === undefined) return undefined;
    values[name] = text;
  }
  return values;
}

/** While a session moves it is to everybody what it will be: renamed. */
function movingHash(record: SessionRecord, mark: string | undefined): StoredHash {
  const until = Number.parseInt(mark?.slice(0, TIME_LENGTH) ?? '0', 36);
  const moving = { newKey: mark?.slice(TIME_LENGTH) ?? '', until };
  return { record: tombstoneOf(record, 'renamed', until), moving };
}

function optional(stored: string | undefined): string | undefined {
  return stored === undefined ? undefined : readText(stored);
}
