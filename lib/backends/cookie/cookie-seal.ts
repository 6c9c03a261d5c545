import { randomBytes } from 'node:crypto';
import { derivedKey } from '../../crypto/derived-keys.js';
import { KEY_BYTES, NONCE_BYTES, TAG_BYTES, Xaes256Gcm } from './xaes-256-gcm.js';

interface SealKey {
  readonly id: Buffer;
  readonly cipher: Xaes256Gcm;
}

const KEY_ID_BYTES = 4;
const HEAD_BYTES = NONCE_BYTES + KEY_ID_BYTES;

/** Two purposes, two labels: no key of the package is used for anything else (CVE-2023-48309). */
const KEY_LABEL = 'encrypted cookie v1';
const KEY_ID_LABEL = 'encrypted cookie key id v1';

/**
 * Seals bytes into text that fits into a cookie, and opens it: base64url of nonce · key id · ciphertext · tag.
 *
 * The key id says which secret it was, so that replacing one costs no trials; it is derived from the secret and tells
 * nothing about it.
 */
export class CookieSeal {
  readonly #keys: readonly SealKey[];

  /** @param secrets the first seals, all open */
  constructor(secrets: readonly string[]) {
    this.#keys = secrets.map((secret) => ({
      id: Buffer.from(derivedKey(secret, KEY_ID_LABEL, KEY_ID_BYTES)),
      cipher: new Xaes256Gcm(derivedKey(secret, KEY_LABEL, KEY_BYTES)),
    }));
  }

  /** How long the text of so many bytes is. */
  static textLength(plaintextBytes: number): number {
    return Math.ceil(((HEAD_BYTES + plaintextBytes + TAG_BYTES) * 4) / 3);
  }

  /** @param context what the text is bound to: it opens with the same context only */
  seal(plaintext: Uint8Array, context: string): string {
    const { id, cipher } = this.#keys[0];
    const nonce = randomBytes(NONCE_BYTES);
    const sealed = cipher.seal(nonce, plaintext, additionalData(id, context));
    return Buffer.concat([nonce, id, sealed]).toString('base64url');
  }

  /** @returns undefined for whatever this application did not seal in this context; there is no other decoder */
  open(text: string, context: string): Buffer | undefined {
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.length < HEAD_BYTES + TAG_BYTES) return undefined;
    // base64url has several spellings of the same bytes, and one of them is ours.
    if (bytes.toString('base64url') !== text) return undefined;
    const id = bytes.subarray(NONCE_BYTES, HEAD_BYTES);
    for (const key of this.#keys) {
      if (!key.id.equals(id)) continue;
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const plaintext = key.cipher.open(nonce, bytes.subarray(HEAD_BYTES), additionalData(id, context));
      if (plaintext) return plaintext;
    }
    return undefined;
  }
}

function additionalData(keyId: Buffer, context: string): Buffer {
  return Buffer.concat([keyId, Buffer.from(context)]);
}
