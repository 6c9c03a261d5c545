import { randomBytes } from 'node:crypto';
import { RECORD_FORMAT, type SessionChange, type SessionRecord } from '../core/record.js';

const DAY_MS = 24 * 60 * 60 * 1000;

/** A key as the framework makes them, of no session yet: 64 hex characters. */
export function newKey(): string {
  return randomBytes(32).toString('hex');
}

/**
 * A record of an anonymous session that began a moment ago: 14 days of idle time, 30 days at most, no values.
 *
 * @example
 * aRecord({ values: { lang: '"en"' }, userId: '7' })
 */
export function aRecord(parts: Partial<SessionRecord> = {}): SessionRecord {
  const now = Date.now();
  return {
    format: RECORD_FORMAT,
    handle: randomBytes(16).toString('hex'),
    values: {},
    createdAt: now,
    lastSeenAt: now,
    expiresAt: now + 14 * DAY_MS,
    absoluteExpiresAt: now + 30 * DAY_MS,
    policy: '',
    ...parts,
  };
}

/**
 * What a request did that was seen a moment ago, under the module's own expiry policy; nothing, unless you say what.
 *
 * @example
 * aChange({ set: { cart: '["tea"]' }, removed: ['coupon'] })
 */
export function aChange(parts: Partial<SessionChange> = {}): SessionChange {
  const now = Date.now();
  return { set: {}, removed: [], lastSeenAt: now, expiresAt: now + 14 * DAY_MS, basedOn: '', ...parts };
}
