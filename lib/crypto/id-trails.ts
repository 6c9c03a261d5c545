import type { Successor } from '../core/record.js';
import { keyOf } from '../core/session-id.js';
import { hmacKeys } from './derived-keys.js';
import type { HmacSha256 } from './hmac-sha256.js';

/** Why a browser got another id: somebody proved who they are · the password was changed · `cycleId()`. */
export type RenewalReason = 'proof' | 'refresh' | 'cycle';

/** What a trail begins with. */
const LETTERS: Record<RenewalReason, string> = { proof: 'p', refresh: 'r', cycle: 'c' };

/**
 * How a request that came with an id finds the one which took its place: from the tombstone, that keeps the new id under a
 * one-time pad, HMAC-SHA-256 of the old id and the new key under a key of the module's secret.
 *
 * So two requests that come with one id and both have to renew it (a login form that is sent twice) arrive at the same new
 * one, and send the same cookie, whichever answer comes last. It takes all three: the old id alone (stolen, or planted before
 * the login) leads nowhere without the secret, a leaked secret nowhere without the tombstone, which is gone after
 * `rotationGrace`, and a leaked store nowhere without ids and secret, which it does not hold.
 */
export class IdTrails {
  readonly #keys: readonly HmacSha256[];

  /** @param secrets the first one seals, all open */
  constructor(secrets: readonly string[]) {
    this.#keys = hmacKeys(secrets, 'id trail v1');
  }

  /** @returns 44 characters: a letter, and 32 bytes as base64url */
  seal(oldId: string, id: string, reason: RenewalReason): string {
    const pad = padOf(this.#keys[0], oldId, keyOf(id));
    return LETTERS[reason] + xor(Buffer.from(id, 'base64url'), pad).toString('base64url');
  }

  /** @returns the id that took the place of an old one; undefined when with these two and our secrets none is found */
  open(oldId: string, { key, trail = '' }: Successor): string | undefined {
    if (oldId === '' || trail === '') return undefined;
    const sealed = Buffer.from(trail.slice(1), 'base64url');
    for (const hmac of this.#keys) {
      const id = xor(sealed, padOf(hmac, oldId, key)).toString('base64url');
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

function padOf(hmac: HmacSha256, oldId: string, newKey: string): Buffer {
  return Buffer.from(hmac.sign(`${oldId}.${newKey}`), 'base64url');
}

function xor(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ other[index]));
}
