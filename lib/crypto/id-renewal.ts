import { randomBytes } from 'node:crypto';
import { keyOf } from '../core/session-id.js';
import type { Successor } from '../core/record.js';
import { hmacKeys } from './derived-keys.js';
import type { HmacSha256 } from './hmac-sha256.js';

/** An id that takes the place of another one. */
export interface RenewedId {
  readonly id: string;
  readonly key: string;
  /** What the tombstone keeps, so that the id can be found again by who has the old one. */
  readonly trail: string;
}

/** What a session got a new id for. */
export type RenewalReason = 'proof' | 'refresh' | 'cycle';

/** What a trail begins with. */
const LETTERS: Record<RenewalReason, string> = { proof: 'p', refresh: 'r', cycle: 'c' };

/**
 * New ids for sessions that have one: HMAC-SHA-256 over the old id and 256 random bits, under a key of the module's secret.
 *
 * Two requests that come with one id and both have to renew it (a login form that is sent twice) so arrive at the same
 * new one: the second finds the random bits in the tombstone that the first has left, and sends the same cookie,
 * whichever answer comes last. It takes all three: the old id alone (stolen, or planted before the login) leads nowhere without
 * the secret, a leaked secret nowhere without the tombstone, which is gone after `rotationGrace`, and a leaked store nowhere
 * without the ids, which it does not hold.
 */
export class IdRenewal {
  readonly #keys: readonly HmacSha256[];

  /** @param secrets the first one makes ids, all find them again */
  constructor(secrets: readonly string[]) {
    this.#keys = hmacKeys(secrets, 'renewed id v1');
  }

  renew(oldId: string, reason: RenewalReason): RenewedId {
    const trail = LETTERS[reason] + randomBytes(32).toString('base64url');
    const id = renewed(this.#keys[0], oldId, trail);
    return { id, key: keyOf(id), trail };
  }

  /** @returns the id that took the place of an old one; undefined when these two and our secrets do not lead to it */
  follow(oldId: string, { key, trail = '' }: Successor): string | undefined {
    if (oldId === '' || trail === '') return undefined;
    for (const hmac of this.#keys) {
      const id = renewed(hmac, oldId, trail);
      if (keyOf(id) === key) return id;
    }
    return undefined;
  }
}

/** Why the new id was given; undefined where the trail does not say. */
export function reasonOf({ trail = '' }: Successor): RenewalReason | undefined {
  const reasons = Object.keys(LETTERS) as RenewalReason[];
  return reasons.find((reason) => trail.startsWith(LETTERS[reason]));
}

function renewed(hmac: HmacSha256, oldId: string, trail: string): string {
  return hmac.sign(`${oldId}.${trail}`);
}
