import { timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import { ID_LENGTH } from '../core/session-id.js';
import { RESOLVED_SESSION_OPTIONS } from '../tokens.js';
import { hmacKeys } from '../crypto/derived-keys.js';
import type { HmacSha256 } from '../crypto/hmac-sha256.js';

/** An id that was found in a cookie of ours. */
export interface VerifiedId {
  readonly id: string;
  /** Signed with a secret that is not the first any more. */
  readonly isSignedByOldSecret: boolean;
}

const MAC_LENGTH = 43; // 32 bytes as base64url
const VALUE_LENGTH = ID_LENGTH + 1 + MAC_LENGTH;
const ID_CHARACTERS = /^[A-Za-z0-9_-]+$/;

/**
 * Writes ids into cookie values and reads them back: `<id>.<HMAC-SHA-256>`. The signature keeps garbage away from the
 * store; the id alone is the secret. The cookie's name is signed too, so that the value under another name is nothing.
 */
@Injectable()
export class SessionCookieCodec {
  readonly #keys: readonly HmacSha256[];

  constructor(@Inject(RESOLVED_SESSION_OPTIONS) { secrets }: Pick<ResolvedSessionOptions, 'secrets'>) {
    this.#keys = hmacKeys(secrets, 'cookie signature v1');
  }

  encode(id: string, cookieName: string): string {
    return `${id}.${sign(this.#keys[0], id, cookieName)}`;
  }

  /** @returns undefined for whatever this application did not sign under this name; costs no store command */
  decode(value: string, cookieName: string): VerifiedId | undefined {
    if (value.length !== VALUE_LENGTH || value[ID_LENGTH] !== '.') return undefined;
    const id = value.slice(0, ID_LENGTH);
    if (!ID_CHARACTERS.test(id)) return undefined;
    // Compared as text: base64url has four spellings of the same last bits, and one of them is ours.
    const mac = Buffer.from(value.slice(ID_LENGTH + 1), 'latin1');
    for (const key of this.#keys) {
      if (!timingSafeEqual(mac, Buffer.from(sign(key, id, cookieName), 'latin1'))) continue;
      return { id, isSignedByOldSecret: key !== this.#keys[0] };
    }
    return undefined;
  }
}

function sign(key: HmacSha256, id: string, cookieName: string): string {
  return key.sign(`${cookieName}=${id}`);
}
