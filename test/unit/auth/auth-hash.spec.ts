import { AuthHash } from '../../../lib/auth/auth-hash.js';

const [FIRST, SECOND] = [
  'the first secret, of more than 32 chars',
  'the second secret, of more than 32 chars',
];

describe('AuthHash', () => {
  const hashes = new AuthHash([FIRST]);

  it('tells the same from a different one', () => {
    const stored = hashes.make('1', 'hash');
    expect(hashes.compare(stored, '1', 'hash')).toBe('same');
    expect(hashes.compare(stored, '1', 'Hash')).toBe('different');
    expect(hashes.compare(stored, '2', 'hash')).toBe('different');
    expect(hashes.compare(stored?.slice(1), '1', 'hash')).toBe('different');
  });

  it('tells one from none, both ways', () => {
    expect(hashes.compare(undefined, '1', undefined)).toBe('same');
    expect(hashes.compare(hashes.make('1', 'hash'), '1', undefined)).toBe('different');
    expect(hashes.compare(undefined, '1', 'hash')).toBe('different');
    expect(hashes.make('1', undefined)).toBeUndefined();
  });

  it('knows what was made under an older secret, and under no other', () => {
    const stored = hashes.make('1', 'hash');
    expect(new AuthHash([SECOND, FIRST]).compare(stored, '1', 'hash')).toBe('old');
    expect(new AuthHash([SECOND]).compare(stored, '1', 'hash')).toBe('different');
  });

  it('takes a hash of any length and alphabet', () => {
    const long = 'ü'.repeat(10_000);
    expect(hashes.compare(hashes.make('1', long), '1', long)).toBe('same');
    expect(hashes.compare(hashes.make('1', long), '1', `${long}x`)).toBe('different');
  });

  it('does not take one user with a piece of hash for another', () => {
    expect(hashes.make('1', '2"]')).not.toBe(hashes.make('1","2', '"]'));
  });
});
