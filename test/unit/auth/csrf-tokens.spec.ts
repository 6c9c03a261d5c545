import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { CsrfTokens } from '../../../lib/crypto/csrf-tokens.js';
import { SessionCookieCodec } from '../../../lib/http/cookie-codec.js';

const FIRST = 'the first secret, of more than 32 characters';
const SECOND = 'the second secret, of more than 32 characters';
const BINDING = `${'f'.repeat(32)}.1893456000000`;

const tokens = (...secrets: string[]) => new CsrfTokens({ secrets });

/** What masking makes of a MAC, done by hand. */
function masked(mac: Buffer): string {
  const mask = randomBytes(mac.length);
  return Buffer.concat([mask, mac.map((byte, index) => byte ^ mask[index])]).toString('base64url');
}

function hmac(purpose: string, text: string): Buffer {
  const key = Buffer.from(hkdfSync('sha256', FIRST, '', purpose, 32));
  return createHmac('sha256', key).update(text).digest();
}

describe('CsrfTokens', () => {
  it('are other texts each time, and all good', () => {
    const issued = Array.from({ length: 50 }, () => tokens(FIRST).issue(BINDING));

    expect(new Set(issued).size).toBe(50);
    expect(issued.filter((each) => tokens(FIRST).verify(each, BINDING))).toHaveLength(50);
    for (const each of issued) expect(each).toMatch(/^[\w-]{86}$/);
  });

  it('have no character in common place that would tell something: each one changes', () => {
    const issued = Array.from({ length: 200 }, () => tokens(FIRST).issue(BINDING));
    for (let i = 0; i < 85; i++) expect(new Set(issued.map((each) => each[i])).size).toBeGreaterThan(20);
  });

  it('are a masked HMAC-SHA-256 under a key of their own', () => {
    expect(tokens(FIRST).verify(masked(hmac('nest-session csrf token v1', BINDING)), BINDING)).toBe(true);
  });

  it('are nothing for another session, or for the same one after another login', () => {
    const token = tokens(FIRST).issue(BINDING);
    for (const other of [BINDING.replace('f', 'e'), `${BINDING}0`, BINDING.replace('1893', '1894'), '', 'f'])
      expect(tokens(FIRST).verify(token, other)).toBe(false);
  });

  it('verify under each secret that is still there, and are issued under the first', () => {
    const old = tokens(FIRST).issue(BINDING);
    expect(tokens(SECOND, FIRST).verify(old, BINDING)).toBe(true);
    expect(tokens(FIRST).verify(tokens(SECOND, FIRST).issue(BINDING), BINDING)).toBe(false);
    expect(tokens(SECOND).verify(tokens(SECOND, FIRST).issue(BINDING), BINDING)).toBe(true);
    expect(tokens(SECOND).verify(old, BINDING)).toBe(false);
  });

  it('of another purpose are none (CVE-2023-48309): signatures of cookies, masked or not, under any name', () => {
    const codec = new SessionCookieCodec({ secrets: [FIRST] });
    const id = randomBytes(32).toString('base64url');
    const cookie = codec.encode(id, 'sessionid');
    const [, mac] = cookie.split('.');
    const lookalikes = [
      cookie,
      cookie.replace('.', ''),
      mac + mac,
      masked(Buffer.from(mac, 'base64url')),
      masked(hmac('nest-session cookie signature v1', BINDING)),
      masked(hmac('nest-session cookie signature v1', `_csrf=${BINDING}`)),
      masked(hmac('', BINDING)),
      masked(createHmac('sha256', FIRST).update(BINDING).digest()),
    ];
    for (const each of lookalikes) expect(tokens(FIRST).verify(each, BINDING)).toBe(false);
  });

  it('are no cookie either', () => {
    const codec = new SessionCookieCodec({ secrets: [FIRST] });
    const token = tokens(FIRST).issue(BINDING);
    for (const each of [token, `${token.slice(0, 43)}.${token.slice(43)}`])
      expect(codec.decode(each, 'sessionid')).toBeUndefined();
  });

  it('are nothing when a single character was changed', () => {
    const token = tokens(FIRST).issue(BINDING);
    for (let i = 0; i < token.length; i++) {
      const other = token[i] === 'A' ? 'B' : 'A';
      expect(tokens(FIRST).verify(token.slice(0, i) + other + token.slice(i + 1), BINDING)).toBe(false);
    }
  });

  it('have one spelling, of the sixteen that decode to the same bytes', () => {
    const token = tokens(FIRST).issue(BINDING);
    const alphabet = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'];
    const good = alphabet.filter((each) => tokens(FIRST).verify(token.slice(0, -1) + each, BINDING));
    expect(good).toEqual([token.at(-1)]);
  });

  it.each<[string, (token: string) => unknown]>([
    ['cut', (token) => token.slice(0, -1)],
    ['lengthened', (token) => `${token}A`],
    ['padded', (token) => `${token}==`],
    ['with a line end', (token) => `${token}\n`],
    ['with a blank', (token) => ` ${token}`],
    ['twice', (token) => token + token],
    ['in an array, as _csrf=a&_csrf=b makes it', (token) => [token]],
    ['in an object', (token) => ({ toString: () => token })],
    ['empty', () => ''],
    ['undefined', () => undefined],
    ['null', () => null],
    ['of zeros: an all-zero mask needs the HMAC itself', () => 'A'.repeat(86)],
  ])('are nothing %s', (_, change) => {
    expect(tokens(FIRST).verify(change(tokens(FIRST).issue(BINDING)), BINDING)).toBe(false);
  });

  it('are not guessed, and no text makes the check throw', () => {
    const inShape = fc.uint8Array({ minLength: 64, maxLength: 64 });
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      inShape.map((bytes) => Buffer.from(bytes).toString('base64url')),
    );
    fc.assert(fc.property(texts, (text) => !tokens(FIRST, SECOND).verify(text, BINDING)));
  });

  it('show no secret when they are inspected', () => {
    expect(inspect(tokens(FIRST), { depth: 10, showHidden: true })).not.toContain(FIRST);
  });
});
