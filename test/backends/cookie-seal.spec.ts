import { createHmac, hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { CookieSeal } from '../../lib/backends/cookie/cookie-seal.js';
import { newId } from '../../lib/core/session-id.js';
import { SessionCookieCodec } from '../../lib/http/cookie-codec.js';

const FIRST = 'the first secret, of more than 32 characters';
const SECOND = 'the second secret, of more than 32 characters';
const CONTEXT = 'purpose 1.sessionid';
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const seal = new CookieSeal([FIRST]);
const bytes = () => fc.uint8Array({ maxLength: 300 });

describe('CookieSeal', () => {
  it('opens what it sealed, and knows how long the text is before it is there', () => {
    fc.assert(
      fc.property(bytes(), fc.string(), (plaintext, context) => {
        const text = seal.seal(plaintext, context);
        expect(seal.open(text, context)).toEqual(Buffer.from(plaintext));
        expect(text).toHaveLength(CookieSeal.textLength(plaintext.length));
        expect(text).toMatch(/^[\w-]+$/);
      }),
    );
  });

  it('seals the same bytes to another text every time', () => {
    const texts = Array.from({ length: 100 }, () => seal.seal(Buffer.from('same'), CONTEXT));
    expect(new Set(texts.map((text) => text.slice(0, 8)))).toHaveProperty('size', 100);
  });

  describe('takes for nothing', () => {
    it('a text with any one character changed', () => {
      const text = seal.seal(Buffer.from('some plaintext'), CONTEXT);
      for (let i = 0; i < text.length; i++)
        for (const character of ALPHABET.replace(text[i], ''))
          expect(seal.open(text.slice(0, i) + character + text.slice(i + 1), CONTEXT)).toBeUndefined();
    });

    it('a text cut short or made longer', () => {
      const text = seal.seal(Buffer.from('some plaintext'), CONTEXT);
      for (let length = 0; length < text.length; length++) {
        expect(seal.open(text.slice(0, length), CONTEXT)).toBeUndefined();
        expect(seal.open(text.slice(length), CONTEXT)).toEqual(length === 0 ? expect.anything() : undefined);
      }
      for (const tail of ['A', '=', '==', ' ', '.', '\n'])
        expect(seal.open(text + tail, CONTEXT)).toBeUndefined();
    });

    it('another spelling of the same bytes', () => {
      const plaintext = Buffer.from('some plaintext, long enough for + and /');
      for (let i = 0; i < 50; i++) {
        const text = seal.seal(plaintext, CONTEXT);
        const base64 = Buffer.from(text, 'base64url').toString('base64');
        if (base64 !== text) expect(seal.open(base64, CONTEXT)).toBeUndefined();
        const inside = text.slice(0, 5) + '!' + text.slice(5);
        expect(seal.open(inside, CONTEXT)).toBeUndefined();
      }
    });

    it('anything at all', () => {
      fc.assert(
        fc.property(fc.string({ maxLength: 400 }), (text) => {
          expect(seal.open(text, CONTEXT)).toBeUndefined();
        }),
      );
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (any) => {
          expect(seal.open(Buffer.from(any).toString('base64url'), CONTEXT)).toBeUndefined();
        }),
      );
    });

    it('a text of another context, such as another cookie name or purpose', () => {
      const text = seal.seal(Buffer.from('some plaintext'), CONTEXT);
      for (const context of ['', 'purpose 1.sessionid2', 'Purpose 1.sessionid', 'other 1.sessionid'])
        expect(seal.open(text, context)).toBeUndefined();
    });

    it('a text of another secret', () => {
      expect(seal.open(new CookieSeal([SECOND]).seal(Buffer.from('x'), CONTEXT), CONTEXT)).toBeUndefined();
    });

    it('plain JSON and base64 of JSON: there is no second decoder (CVE-2026-39324)', () => {
      const json = JSON.stringify({ userId: 'admin', values: { role: '"admin"' }, expiresAt: 9e15 });
      for (const encoding of ['utf8', 'base64', 'base64url', 'hex'] as const)
        expect(seal.open(Buffer.from(json).toString(encoding), CONTEXT)).toBeUndefined();
    });

    it('what the same secret made for another purpose (CVE-2023-48309)', () => {
      const signed = new SessionCookieCodec({ secrets: [FIRST] }).encode(newId(), 'sessionid');
      const mac = createHmac('sha512', FIRST).update('some token').digest('base64url');
      for (const token of [signed, signed.replace('.', ''), mac, mac + mac])
        expect(seal.open(token, CONTEXT)).toBeUndefined();
    });
  });

  describe('with several secrets', () => {
    const both = new CookieSeal([SECOND, FIRST]);

    it('opens those of all', () => {
      const plaintext = Buffer.from('kept');
      expect(both.open(seal.seal(plaintext, CONTEXT), CONTEXT)).toEqual(plaintext);
      expect(both.open(both.seal(plaintext, CONTEXT), CONTEXT)).toEqual(plaintext);
    });

    it('seals with the first only', () => {
      const text = both.seal(Buffer.from('kept'), CONTEXT);
      expect(seal.open(text, CONTEXT)).toBeUndefined();
      expect(new CookieSeal([SECOND]).open(text, CONTEXT)).toBeDefined();
    });

    it('shows an id of the secret, which is no part of the secret nor of the key', () => {
      const idOf = (text: string) => Buffer.from(text, 'base64url').subarray(24, 28).toString('hex');
      const id = idOf(seal.seal(Buffer.from('x'), CONTEXT));

      expect(idOf(seal.seal(Buffer.from('y'), 'other'))).toBe(id);
      expect(idOf(both.seal(Buffer.from('x'), CONTEXT))).not.toBe(id);
      const key = hkdfSync('sha256', FIRST, '', 'nest-session encrypted cookie v1', 32);
      expect(Buffer.from(key).toString('hex')).not.toContain(id);
      expect(Buffer.from(FIRST).toString('hex')).not.toContain(id);
    });
  });
});
