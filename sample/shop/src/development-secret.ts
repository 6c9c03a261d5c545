import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';

/** A secret of this computer's own, kept in a file, so that sessions survive a restart. Not for production. */
export function developmentSecret(folder: string): string {
  const file = join(folder, 'development-secret');
  const secret = readSecret(file) ?? writeSecret(folder, file);
  new Logger('Shop').log('SESSION_SECRET is not set: using the development secret from the data folder.');
  return secret;
}

function readSecret(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

function writeSecret(folder: string, file: string): string {
  const secret = randomBytes(32).toString('base64url');
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return secret;
}
