import type { EpochMs } from './clock.js';
import { checkSize } from './value-sizes.js';

/**
 * The format of the records that this release writes. A release reads formats n and n-1 and writes n-1 until the
 * next one, so that old and new nodes can run side by side during a roll-out.
 */
export const RECORD_FORMAT = 1;

/** Serialised values by top-level name. Names are the visitor's as much as ours: `__proto__` is an ordinary one. */
export type ValueTexts = Readonly<Record<string, string>>;

/**
 * What a store keeps of one session, under a key that is the SHA-256 of the session's id.
 *
 * A plain JSON object: `JSON.parse(JSON.stringify(record))` is the same record. A store hands out records that
 * nobody changes afterwards; the framework never writes to one.
 */
export interface SessionRecord {
  /** {@link RECORD_FORMAT} of the release that wrote it. */
  readonly format: number;
  /** The public name of the session, 32 hex characters: kept over cycles, selects nothing by itself. */
  readonly handle: string;
  /** One text per top-level value, as the serializer wrote it (JSON by default). */
  readonly values: ValueTexts;
  readonly createdAt: EpochMs;
  readonly lastSeenAt: EpochMs;
  /** The earliest of all deadlines: at this moment the session is over, whatever else stands here. */
  readonly expiresAt: EpochMs;
  /** The absolute deadline, which only a new authentication moves. */
  readonly absoluteExpiresAt: EpochMs;
  /** The expiry policy that `expiresAt` was computed from (see `deadlines.ts`); '' is the module's own. */
  readonly policy: string;
  /** Whose session it is; undefined for an anonymous visitor. */
  readonly userId?: string;
  /**
   * Set on a tombstone, the short-lived mark of a session that was here: `renamed` by a cycle, or `ended` by a
   * flush. Its `expiresAt` is the end of the mark; its `values` are empty.
   */
  readonly gone?: 'renamed' | 'ended';
  /** Set on a tombstone by stores that keep it: what took the session's place. */
  readonly successor?: Successor;
  /** Set by a store that could not read the values that it kept; `values` is empty then. */
  readonly corrupt?: true;
}

/** What took a session's place in its browser: itself under a new key, or the session of another login. */
export interface Successor {
  /** A tombstone may stand there by now. */
  readonly key: string;
  /** A text of the framework's, at most 64 characters. */
  readonly trail?: string;
}

/**
 * The deadline that a request computed for a session, to be written alone (a touch) or with a change.
 */
export interface SessionTouch {
  readonly lastSeenAt: EpochMs;
  readonly expiresAt: EpochMs;
  /**
   * The policy that `expiresAt` was computed from. Where the stored record has another one (a parallel
   * `setExpiry`), the deadline is dropped and the stored one stays. `keep` (no record has it) says that it is to stay:
   * what was written is no visit.
   */
  readonly basedOn: string;
}

/** What one request did to a session since it loaded it. */
export interface SessionChange extends SessionTouch {
  /** Values that the request set, by name; each replaces the stored one whole. */
  readonly set: ValueTexts;
  /** Names that the request removed. */
  readonly removed: readonly string[];
  /** The request cleared the session: all that is stored goes before `set` is applied. */
  readonly cleared?: boolean;
  /** A new expiry policy (`setExpiry`): it wins over the stored one, and so does `expiresAt` then. */
  readonly policy?: string;
  /**
   * The visitor has proved who they are. Comes with `rename`, for every authentication renews the id (law 8); with `save`
   * where a parallel login of the same user has just renewed it.
   */
  readonly authentication?: Authentication;
  /**
   * The most bytes that names and texts of all values may take together afterwards, with what parallel requests have stored:
   * where the change sets values and they would take more, nothing is written, and {@link applyChange} throws
   * SessionTooLargeError.
   */
  readonly maxSize?: number;
  /** Comes with `rename`: a text of the framework's, for the tombstone to keep beside the new key. */
  readonly trail?: string;
}

/** What an authentication changes in a record, beside its values and deadlines. */
export interface Authentication {
  readonly userId: string;
  /** The new absolute deadline; nothing else moves it (law 10). */
  readonly absoluteExpiresAt: EpochMs;
}

/** For whoever makes a value step by step. */
export type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * Applies what a request did to what is stored at this moment. The merge rule of every store, in one place: names
 * in `set` replace the stored value whole, names in `removed` go, all others stay as they are stored.
 *
 * @returns a new record; neither argument is changed
 * @throws SessionTooLargeError when the values would take more than `change.maxSize` bytes
 */
export function applyChange(record: SessionRecord, change: SessionChange): SessionRecord {
  const policyIsMine = change.policy !== undefined;
  const deadlineFits = policyIsMine || change.basedOn === record.policy;
  const { userId, absoluteExpiresAt } = change.authentication ?? record;
  // Property by property: every save makes one, and V8 takes long to add to what a spread has made.
  const changed: Writable<SessionRecord> = {
    format: record.format,
    handle: record.handle,
    values: mergeValues(record.values, change),
    createdAt: record.createdAt,
    lastSeenAt: Math.max(record.lastSeenAt, change.lastSeenAt),
    expiresAt: deadlineFits ? change.expiresAt : record.expiresAt,
    absoluteExpiresAt,
    policy: change.policy ?? record.policy,
  };
  if (userId !== undefined) changed.userId = userId;
  if (record.gone) changed.gone = record.gone;
  return changed;
}

/** Applies a touch: the deadline moves unless a parallel request gave the session another expiry policy. */
export function applyTouch(record: SessionRecord, touch: SessionTouch): SessionRecord {
  if (touch.basedOn !== record.policy) return record;
  return {
    ...record,
    lastSeenAt: Math.max(record.lastSeenAt, touch.lastSeenAt),
    expiresAt: touch.expiresAt,
  };
}

/**
 * The change that an atomic update of one value makes, computed from what is stored at that moment.
 *
 * @param update gets the stored text (undefined: no such value) and returns the new one (undefined: remove it)
 */
export function atomicChange(
  record: SessionRecord,
  name: string,
  update: (text: string | undefined) => string | undefined,
): { change: SessionChange; text: string | undefined } {
  const text = update(Object.hasOwn(record.values, name) ? record.values[name] : undefined);
  const { lastSeenAt, expiresAt, policy: basedOn } = record; // an atomic update leaves the deadlines alone
  const set = text === undefined ? {} : { [name]: text };
  const removed = text === undefined ? [name] : [];
  return { change: { set, removed, lastSeenAt, expiresAt, basedOn }, text };
}

/**
 * The mark that a renamed or ended session leaves until `until`: it holds nothing of what the session held.
 *
 * @param successor of a renamed one the new key, and the trail of the change that came with it; of an ended one as it came
 * with the delete
 */
export function tombstoneOf(
  record: SessionRecord,
  gone: 'renamed' | 'ended',
  until: EpochMs,
  successor?: Successor,
): SessionRecord {
  const { format, handle, createdAt, lastSeenAt, absoluteExpiresAt, policy } = record;
  return {
    format,
    handle,
    createdAt,
    lastSeenAt,
    absoluteExpiresAt,
    policy,
    values: {},
    expiresAt: until,
    gone,
    ...(successor && { successor }),
  };
}

/** A successor as a store keeps it; undefined for what is none: then nobody knows where the session went. */
export function successorOf(stored: unknown): Successor | undefined {
  const { key, trail } = Object(stored) as Record<string, unknown>;
  if (typeof key !== 'string' || !/^[0-9a-f]{64}$/.test(key)) return undefined;
  return { key, trail: typeof trail === 'string' ? trail : undefined };
}

function mergeValues(stored: ValueTexts, change: SessionChange): ValueTexts {
  // A null prototype, so that a value named `__proto__` is stored and not swallowed.
  const merged: Record<string, string> = { __proto__: null } as never;
  if (!change.cleared) Object.assign(merged, stored);
  for (const name of change.removed) delete merged[name];
  Object.assign(merged, change.set);
  // Who takes something away may do so, however large the rest is.
  if (change.maxSize !== undefined && setsValues(change)) checkSize(Object.entries(merged), change.maxSize);
  return merged;
}

function setsValues({ set }: SessionChange): boolean {
  for (const _ in set) return true;
  return false;
}

/** A record with some of its values alone. */
export function withSomeValues(record: SessionRecord, names: readonly string[]): SessionRecord {
  return { ...record, values: pickValues(record.values, names) };
}

export function pickValues(values: ValueTexts, names: readonly string[]): ValueTexts {
  const picked: Record<string, string> = { __proto__: null } as never;
  for (const name of names) if (Object.hasOwn(values, name)) picked[name] = values[name];
  return picked;
}
