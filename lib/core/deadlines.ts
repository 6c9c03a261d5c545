import type { EpochMs } from './clock.js';

/**
 * How long a session lives, as text, because that is what a record keeps:
 * '' the module's idle timeout · `idle:MS` an idle timeout of its own · `until:EPOCH_MS` a fixed end ·
 * `browser` the module's idle timeout, with a cookie that ends with the browser · `persistent` the module's idle timeout,
 * with a cookie that outlives the browser, whatever the module says.
 * `unconfirmed` before one of these (`unconfirmed:idle:MS`): the session began with a visitor of whom nobody knew whether
 * the cookie would come back. It stays in the record; what it means for a deadline depends on who asks.
 */
export type ExpiryPolicy = string;

export const MODULE_POLICY: ExpiryPolicy = '';
export const BROWSER_POLICY: ExpiryPolicy = 'browser';
export const PERSISTENT_POLICY: ExpiryPolicy = 'persistent';
export const idlePolicy = (idleMs: number): ExpiryPolicy => `idle:${idleMs}`;
export const untilPolicy = (end: EpochMs): ExpiryPolicy => `until:${end}`;

const UNCONFIRMED = 'unconfirmed';
export const unconfirmedPolicy = (policy: ExpiryPolicy): ExpiryPolicy =>
  policy === MODULE_POLICY ? UNCONFIRMED : `${UNCONFIRMED}:${policy}`;
export const isUnconfirmed = (policy: ExpiryPolicy): boolean => policy.startsWith(UNCONFIRMED);
/** The policy that holds once the cookie has come back. */
export const confirmedPolicy = (policy: ExpiryPolicy): ExpiryPolicy =>
  isUnconfirmed(policy) ? policy.slice(UNCONFIRMED.length + 1) : policy;

/** No record has this policy: a deadline that names it is dropped, and the stored one stays. */
export const KEEP_DEADLINE: ExpiryPolicy = 'keep';

/** RFC 6265bis, 5.6.2: browsers cap a cookie's life at 400 days. */
const MAX_COOKIE_AGE_MS = 400 * 24 * 60 * 60 * 1000;

export interface DeadlineOptions {
  readonly idleTimeoutMs: number;
  readonly touchEveryMs: number;
  readonly persistent: boolean;
  /** How long a session lives whose cookie has not come back yet; undefined: as any. */
  readonly unconfirmedTimeoutMs?: number;
}

/** The idle timeout that a policy means; a fixed end has none. */
function idleMsOf(policy: ExpiryPolicy, options: DeadlineOptions): number {
  if (policy.startsWith('idle:')) return Number(policy.slice(5));
  return policy.startsWith('until:') ? Infinity : options.idleTimeoutMs;
}

function fixedEndOf(policy: ExpiryPolicy): EpochMs {
  return policy.startsWith('until:') ? Number(policy.slice(6)) : Infinity;
}

/** The earliest of the idle deadline, the fixed end and the absolute deadline; the cookie has come back, or none is to. */
export function deadlineOf(
  policy: ExpiryPolicy,
  now: EpochMs,
  absoluteExpiresAt: EpochMs,
  options: DeadlineOptions,
): EpochMs {
  return Math.min(now + idleMsOf(policy, options), fixedEndOf(policy), absoluteExpiresAt);
}

/** Whether a session that was only read has to be touched: at most once per `touchEvery`, and in time for its idle end. */
export function isTouchDue(
  policy: ExpiryPolicy,
  lastSeenAt: EpochMs,
  now: EpochMs,
  options: DeadlineOptions,
): boolean {
  const own = policy.startsWith('idle:') ? idleMsOf(policy, options) / 10 : Infinity;
  return now > lastSeenAt && now - lastSeenAt >= Math.min(options.touchEveryMs, own);
}

/** When the cookie ends; `browser`: with the browser. It outlives an idle end, so that 'expired' can be told from 'nobody'. */
export type CookieEnd = EpochMs | 'browser';

export function cookieEndOf(
  policy: ExpiryPolicy,
  absoluteExpiresAt: EpochMs,
  options: DeadlineOptions,
): CookieEnd {
  if (policy.startsWith('until:')) return Math.min(fixedEndOf(policy), absoluteExpiresAt);
  // As in Django: who asks for a time asks for a cookie that lasts.
  if (policy === PERSISTENT_POLICY || policy.startsWith('idle:')) return absoluteExpiresAt;
  return policy === BROWSER_POLICY || !options.persistent ? 'browser' : absoluteExpiresAt;
}

/** What `Max-Age` says, in whole seconds: rounded, for the clock has moved since the deadline was computed. */
export function maxAgeSeconds(end: EpochMs, now: EpochMs): number {
  return Math.max(0, Math.round(Math.min(end - now, MAX_COOKIE_AGE_MS) / 1000));
}
