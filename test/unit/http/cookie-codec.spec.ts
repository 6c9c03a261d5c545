import fc from 'fast-check';
import { newId } from '../../../lib/core/session-id.js';
import { SessionCookieCodec } from '../../../lib/http/cookie-codec.js';

const FIRST = 'the first secret, of more than 32 characters';
const SECOND = 'the second secret, of more than 32 characters';
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const codec = (...secrets: string[]) => new SessionCookieCodec({ secrets });

describe('SessionCookieCodec', () => {
  it('reads what it wrote', () => {
    const id = newId();
    const value = codec(FIRST).encode(id, 'sid');

    expect(value).toMatch(/^[\w-]{43}\.[\w-]{43}$/);
    expect(codec(FIRST).decode(value, 'sid')).toEqual({ id, isSignedByOldSecret: false });
  });

  it('writes the same value each time, so that nothing is sent anew', () => {
    const id = newId();
    expect(codec(FIRST).encode(id, 'sid')).toBe(codec(FIRST).encode(id, 'sid'));
  });

  it('signs with the first secret and reads all, and tells which it was', () => {
    const id = newId();
    const rotated = codec(SECOND, FIRST);

    expect(rotated.decode(codec(FIRST).encode(id, 'sid'), 'sid')).toEqual({ id, isSignedByOldSecret: true });
    expect(rotated.decode(codec(SECOND).encode(id, 'sid'), 'sid')).toEqual({
      id,
      isSignedByOldSecret: false,
    });
    expect(rotated.encode(id, 'sid')).toBe(codec(SECOND).encode(id, 'sid'));
  });

  it('reads nothing that was signed with a secret that is gone', () => {
    expect(codec(SECOND).decode(codec(FIRST).encode(newId(), 'sid'), 'sid')).toBeUndefined();
  });

  it.each(['sid2', 'SID', '__Host-sid', '', 'sid='])(
    'reads nothing that was signed for another name (%j)',
    (name) => {
      expect(codec(FIRST).decode(codec(FIRST).encode(newId(), 'sid'), name)).toBeUndefined();
    },
  );

  it('takes only one spelling of a signature, of the four that decode to the same bytes', () => {
    const id = newId();
    const value = codec(FIRST).encode(id, 'sid');
    const lastCharacters = [...BASE64URL].filter((each) =>
      codec(FIRST).decode(value.slice(0, -1) + each, 'sid'),
    );

    expect(lastCharacters).toEqual([value.at(-1)]);
  });

  it.each<[string, (value: string) => string]>([
    ['padded', (value) => `${value}=`],
    [
      'in base64 instead of base64url',
      (value) => value.replaceAll('-', '+').replaceAll('_', '/').replace('.', ','),
    ],
    ['in front of blanks', (value) => ` ${value}`],
    ['with a line end', (value) => `${value.slice(0, -1)}\n`],
    ['twice', (value) => value + value],
    ['the wrong way round', (value) => value.split('.').reverse().join('.')],
    ['with the dot elsewhere', (value) => `${value.slice(0, 42)}.${value[42]}${value.slice(44)}`],
  ])('does not read a good value %s', (_, change) => {
    const value = codec(FIRST).encode(newId(), 'sid');
    expect(codec(FIRST).decode(change(value), 'sid')).toBeUndefined();
  });

  it('reads no value in which a single character was changed', () => {
    const value = codec(FIRST).encode(newId(), 'sid');
    for (let i = 0; i < value.length; i++) {
      const other = value[i] === 'A' ? 'B' : 'A';
      expect(codec(FIRST).decode(value.slice(0, i) + other + value.slice(i + 1), 'sid')).toBeUndefined();
    }
  });

  it('reads nothing at all of what anybody else could write, and does not throw', () => {
    const characters = fc.constantFrom(...BASE64URL, '.', 'é', '日', '\u0000', ' ');
    const lookalike = fc.array(characters, { minLength: 80, maxLength: 95 }).map((each) => each.join(''));
    const inShape = fc
      .tuple(
        fc.string({ minLength: 43, maxLength: 43 }),
        fc.string({ minLength: 43, maxLength: 43, unit: 'binary' }),
      )
      .map((parts) => parts.join('.'));
    fc.assert(
      fc.property(fc.oneof(fc.string(), lookalike, inShape), (value) => {
        expect(codec(FIRST, SECOND).decode(value, 'sid')).toBeUndefined();
      }),
    );
  });

  it('shows no secret when it is inspected', async () => {
    const { inspect } = await import('node:util');
    expect(inspect(codec(FIRST), { depth: 10, showHidden: true })).not.toContain(FIRST);
  });
});
