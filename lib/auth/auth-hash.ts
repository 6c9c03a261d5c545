import { hash, timingSafeEqual } from 'node:crypto';
import { hmacKeys } from '../crypto/derived-keys.js';
import type { HmacSha256 } from '../crypto/hmac-sha256.js';

/**
 * HMACs of what users' sessions hang on (`SessionUserProvider.authHash`), under a key for this purpose alone: a store
 * that leaks gives nobody a password's hash to guess at.
 */
export class AuthHash {
  readonly #keys: readonly HmacSha256[];

  /** @param secrets the first one makes HMACs, all verify */
  constructor(secrets: readonly string[]) {
    this.#keys = hmacKeys(secrets, 'auth hash v1');
  }

  /** @returns undefined for a user who has none */
  make(userId: string, authHash: string | undefined): string | undefined {
    return authHash === undefined ? undefined : sign(this.#keys[0], userId, authHash);
  }

  /**
   * Compares what a session holds with what the user has now, in constant time.
   *
   * @returns `old`: the same, under a secret that is not the first any more
   */
  compare(
    stored: string | undefined,
    userId: string,
    authHash: string | undefined,
  ): 'same' | 'old' | 'different' {
    if (stored === undefined || authHash === undefined) return stored === authHash ? 'same' : 'different';
    const given = Buffer.from(stored);
    for (const key of this.#keys) {
      const made = Buffer.from(sign(key, userId, authHash));
      if (made.length === given.length && timingSafeEqual(made, given))
        return key === this.#keys[0] ? 'same' : 'old';
    }
    return 'different';
  }
}

/** The same password of another user makes another HMAC. */
function sign(key: HmacSha256, userId: string, authHash: string): string {
  return key.sign(hash('sha256', JSON.stringify([userId, authHash]), 'hex'));
}
