import assert from 'node:assert/strict';
import type { SessionRecord, ValueTexts } from '../../core/record.js';
import type { SessionStore } from '../../stores/session-store.js';

/** The values of a living session, whatever prototype and order the store gives them. */
export async function expectValues(store: SessionStore, key: string, expected: ValueTexts): Promise<void> {
  const record = await store.load(key);
  assert.ok(record && !record.gone, 'the session is not there');
  assert.deepEqual(sorted(record.values), sorted(expected));
}

/** The record as a whole; properties that are undefined count as missing. */
export function expectRecord(actual: SessionRecord | undefined, expected: SessionRecord): void {
  assert.ok(actual, 'the session is not there');
  assert.deepEqual(comparable(actual), comparable(expected));
}

export async function expectUnknown(store: SessionStore, key: string): Promise<void> {
  assert.equal(await store.load(key), undefined, 'something is left under the key');
}

/** There is no living session: a tombstone at most, which holds nothing. */
export async function expectDead(store: SessionStore, key: string): Promise<void> {
  const record = await store.load(key);
  if (!record) return;
  assert.ok(record.gone, 'the session is alive');
  expectEmptied(record);
}

export function expectEmptied(tombstone: SessionRecord): void {
  assert.deepEqual(Object.keys(tombstone.values), [], 'a tombstone holds no values');
  assert.equal(tombstone.userId, undefined, 'a tombstone names no user');
}

function sorted(values: ValueTexts): [string, string][] {
  return Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
}

function comparable({ values, ...rest }: SessionRecord): object {
  return { ...(JSON.parse(JSON.stringify(rest)) as object), values: sorted(values) };
}
