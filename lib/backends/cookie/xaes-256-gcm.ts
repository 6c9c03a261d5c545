import { type Cipher, createCipheriv, createDecipheriv } from 'node:crypto';

export const KEY_BYTES = 32;
export const NONCE_BYTES = 24;
export const TAG_BYTES = 16;

const BLOCK_BYTES = 16;
const SALT_BYTES = 12; // half of the nonce goes into the key, the other half is AES-GCM's own

/**
 * XAES-256-GCM (https://c2sp.org/XAES-256-GCM): AES-256-GCM with a key of its own for each nonce. A random nonce of 192
 * bits is safe for ever under one key; the 96 bits of plain AES-GCM run out after 2³² messages.
 */
export class Xaes256Gcm {
  /** The block cipher. Electronic codebook has no state between blocks, so that one object serves all messages. */
  readonly #aes: Cipher;
  /** The subkey K1 of CMAC (NIST SP 800-38B, 6.1), once for each of the two blocks. */
  readonly #k1: Buffer;

  /** @param key 32 bytes, used for nothing else */
  constructor(key: Uint8Array) {
    if (key.length !== KEY_BYTES) throw new RangeError(`A key has ${KEY_BYTES} bytes.`);
    this.#aes = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    const k1 = double(this.#aes.update(Buffer.alloc(BLOCK_BYTES)));
    this.#k1 = Buffer.concat([k1, k1]);
  }

  /**
   * @param nonce 24 bytes, random for every message
   * @param additionalData what has to be the same at `open`, and is not part of the result
   * @returns ciphertext and tag: 16 bytes more than the plaintext
   */
  seal(nonce: Uint8Array, plaintext: Uint8Array, additionalData: Uint8Array): Buffer {
    const cipher = createCipheriv('aes-256-gcm', this.#keyFor(nonce), nonce.subarray(SALT_BYTES));
    cipher.setAAD(additionalData);
    return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }

  /** @returns undefined for whatever `seal` did not make with this key, nonce and additional data */
  open(nonce: Uint8Array, sealed: Uint8Array, additionalData: Uint8Array): Buffer | undefined {
    const length = sealed.length - TAG_BYTES;
    if (length < 0) return undefined;
    const options = { authTagLength: TAG_BYTES };
    const decipher = createDecipheriv(
      'aes-256-gcm',
      this.#keyFor(nonce),
      nonce.subarray(SALT_BYTES),
      options,
    );
    decipher.setAAD(additionalData).setAuthTag(sealed.subarray(length));
    const plaintext = decipher.update(sealed.subarray(0, length));
    try {
      decipher.final();
      return plaintext;
    } catch {
      return undefined; // node:crypto tells a wrong tag in no other way
    }
  }

  /** NIST SP 800-108r1 in counter mode with CMAC: two blocks, label `X`, the first half of the nonce as context. */
  #keyFor(nonce: Uint8Array): Buffer {
    if (nonce.length !== NONCE_BYTES) throw new RangeError(`A nonce has ${NONCE_BYTES} bytes.`);
    const blocks = Buffer.alloc(2 * BLOCK_BYTES);
    for (const counter of [1, 2]) {
      const start = (counter - 1) * BLOCK_BYTES;
      blocks[start + 1] = counter;
      blocks[start + 2] = 0x58;
      blocks.set(nonce.subarray(0, SALT_BYTES), start + BLOCK_BYTES - SALT_BYTES);
    }
    for (let i = 0; i < blocks.length; i++) blocks[i] ^= this.#k1[i];
    return this.#aes.update(blocks);
  }
}

/** Doubles a block in GF(2¹²⁸), as CMAC makes its subkeys. */
function double(block: Buffer): Buffer {
  const carry = block[0] >> 7;
  const doubled = Buffer.from(block.map((byte, i) => (byte << 1) | ((block[i + 1] ?? 0) >> 7)));
  doubled[BLOCK_BYTES - 1] ^= carry * 0b10000111;
  return doubled;
}
