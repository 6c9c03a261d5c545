import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { SessionSerializer } from 'nest-session';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** SessionModule.forRoot({ store, secret, serializer: encryptedValues(key) }); the key is 32 random bytes. */
export function encryptedValues(key: Buffer): SessionSerializer {
  return {
    stringify(value) {
      const nonce = randomBytes(NONCE_BYTES); // never the same twice for one key
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      const text = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64');
    },
    parse(sealed) {
      const bytes = Buffer.from(sealed, 'base64');
      const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      }).setAuthTag(tag);
      const text = [decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()];
      return JSON.parse(Buffer.concat(text).toString()) as unknown;
    },
  };
}
