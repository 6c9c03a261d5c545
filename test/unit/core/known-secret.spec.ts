import { hash, randomBytes, randomInt } from 'node:crypto';
import { SessionOptionsError } from 'nest-session';
import { resolveOptions } from '../../../lib/options/resolve-options.js';

const GUESSABLE = [
  'only for development: 32 characters or more',
  'a secret for tests, of more than 32 characters',
  'another secret for tests, of more than 32 characters',
  'a secret of at least thirty-two characters',
  'a secret that is long enough for anybody',
  'only for this test: 9f2c7b1e4d8a6035',
  'keyboard cat keyboard cat keyboard cat',
  'keyboard-cat-keyboard-cat-keyboard-cat!!',
  'your_super_secret_key_change_me_in_production',
  'changemechangemechangemechangeme',
  'a'.repeat(32),
  ' '.repeat(40),
  'abcd'.repeat(8),
  'hunter2-hunter2-hunter2-hunter2-hunter2',
  '0123456789abcdef'.repeat(2),
  '12345678901234567890123456789012',
  'abcdefghijklmnopqrstuvwxyz0123456789',
];

describe('A secret that others can guess', () => {
  const { NODE_ENV } = process.env;
  afterEach(() => {
    process.env.NODE_ENV = NODE_ENV;
  });

  it.each(GUESSABLE)('is refused in production: %j', (secret) => {
    process.env.NODE_ENV = 'production';
    expect(() => resolveOptions({ secret })).toThrow(SessionOptionsError);
    expect(() => resolveOptions({ secret })).toThrow(/secret is a known example.*`npx nest-session secret`/);
  });

  it.each(GUESSABLE)('is taken elsewhere: %j', (secret) => {
    process.env.NODE_ENV = 'development';
    expect(() => resolveOptions({ secret })).not.toThrow();
  });

  it('is named by its place among several, and never shown', () => {
    process.env.NODE_ENV = 'production';
    const secret = [randomBytes(32).toString('base64url'), GUESSABLE[0]];
    expect(() => resolveOptions({ secret })).toThrow(/secret\[1\] is a known example/);
    expect(() => resolveOptions({ secret })).not.toThrow(/only for development/);
  });

  it('is none that was made at random, in whatever alphabet', () => {
    process.env.NODE_ENV = 'production';
    const made = Array.from({ length: 500 }, (_, index) => [
      randomBytes(32).toString('base64url'),
      randomBytes(24).toString('base64'),
      randomBytes(16).toString('hex'),
      hash('sha256', String(index), 'hex'),
      Array.from({ length: 48 }, () => randomInt(10)).join(''),
    ]).flat();
    for (const secret of made) expect(() => resolveOptions({ secret })).not.toThrow();
  });
});
