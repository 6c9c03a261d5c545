import { hkdfSync } from 'node:crypto';
import { HmacSha256 } from './hmac-sha256.js';

/**
 * A key of its own for each purpose, by HKDF from the module's secret: no signature of one purpose is good for another
 * (CVE-2023-48309).
 *
 * @param purpose what the key is for, with a version: `cookie signature v1`
 */
export function derivedKey(secret: string, purpose: string, bytes = 32): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', `nest-session ${purpose}`, bytes));
}

/** @param secrets the first one signs, all verify */
export function hmacKeys(secrets: readonly string[], purpose: string): readonly HmacSha256[] {
  return secrets.map((secret) => new HmacSha256(derivedKey(secret, purpose)));
}
