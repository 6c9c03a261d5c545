import { hash, randomBytes } from 'node:crypto';
import type { EpochMs } from './clock.js';

/** Length of an id in characters: 32 bytes as base64url. */
export const ID_LENGTH = 43;

/** A new id, the secret in the cookie: 256 bits from the CSPRNG, 43 characters of base64url. */
export function newId(): string {
  return randomBytes(32).toString('base64url');
}

/** The key that a store sees for an id: 64 hex characters of SHA-256, from which nobody gets back to the id. */
export function keyOf(id: string): string {
  return hash('sha256', id, 'hex');
}

/**
 * A new handle, the public name: 32 hex characters, 48 bits of time and 80 of chance. Ordered by creation, so that it
 * makes a good primary key (the idea of RFC 9562's UUIDv7).
 */
export function newHandle(now: EpochMs): string {
  return now.toString(16).padStart(12, '0').slice(-12) + randomBytes(10).toString('hex');
}
