import { randomBytes, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import { hmacKeys } from './derived-keys.js';
import type { HmacSha256 } from './hmac-sha256.js';
import { RESOLVED_SESSION_OPTIONS } from '../tokens.js';

const MAC_BYTES = 32;
/** The mask, and what it masks, as base64url. */
const TOKEN = /^[\w-]{86}$/;

/**
 * Tokens that prove that a form was made for this very session: an HMAC over what names the session and its login,
 * under a key of its own. Nothing is stored. Each reading is masked anew (`mask ‖ mask ⊕ HMAC`), so that nobody guesses a
 * token letter by letter from the length of compressed pages (the BREACH attack).
 */
@Injectable()
export class CsrfTokens {
  readonly #keys: readonly HmacSha256[];

  constructor(@Inject(RESOLVED_SESSION_OPTIONS) { secrets }: Pick<ResolvedSessionOptions, 'secrets'>) {
    this.#keys = hmacKeys(secrets, 'csrf token v1');
  }

  /**
   * @param binding what names the session and its login, see `SessionState.csrfBinding`
   * @returns 86 characters of base64url, others each time
   */
  issue(binding: string): string {
    const mask = randomBytes(MAC_BYTES);
    return Buffer.concat([mask, xor(mask, sign(this.#keys[0], binding))]).toString('base64url');
  }

  /** Whether the token was issued for this binding, under any of the secrets; takes as long for each wrong one. */
  verify(token: unknown, binding: string): boolean {
    if (typeof token !== 'string' || !TOKEN.test(token)) return false;
    const bytes = Buffer.from(token, 'base64url');
    // base64url has several spellings of the same last bits: one of them is ours.
    if (bytes.toString('base64url') !== token) return false;
    const mac = xor(bytes.subarray(0, MAC_BYTES), bytes.subarray(MAC_BYTES));
    return this.#keys.filter((key) => timingSafeEqual(mac, sign(key, binding))).length > 0;
  }
}

function sign(key: HmacSha256, binding: string): Buffer {
  return Buffer.from(key.sign(binding), 'base64url');
}

function xor(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ other[index]));
}
