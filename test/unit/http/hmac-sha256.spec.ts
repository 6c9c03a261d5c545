import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { HmacSha256 } from '../../../lib/crypto/hmac-sha256.js';

const ascii = fc.string({ unit: 'binary-ascii', maxLength: 512, size: 'max' });
const reference = (key: Uint8Array, text: string) =>
  createHmac('sha256', key).update(text).digest('base64url');

describe('HmacSha256', () => {
  it("is Node's HMAC for every key and text", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64, size: 'max' }), ascii, (key, text) => {
        expect(new HmacSha256(key).sign(text)).toBe(reference(key, text));
      }),
    );
  });

  it('remembers nothing of the text before, however long it was', () => {
    const key = new Uint8Array(32).fill(7);
    fc.assert(
      fc.property(fc.array(ascii, { minLength: 2, maxLength: 5 }), (texts) => {
        const hmac = new HmacSha256(key);
        expect(texts.map((text) => hmac.sign(text))).toEqual(texts.map((text) => reference(key, text)));
      }),
    );
  });

  it('leaves the given key as it is, and does not follow its changes', () => {
    const key = new Uint8Array(32).fill(7);
    const hmac = new HmacSha256(key);
    expect([...key]).toEqual(Array(32).fill(7));
    key.fill(0);
    expect(hmac.sign('text')).toBe(reference(new Uint8Array(32).fill(7), 'text'));
  });

  it.each([0, 1, 63, 64])('takes a key of %i bytes', (length) => {
    const key = new Uint8Array(length).fill(255);
    expect(new HmacSha256(key).sign('x'.repeat(512))).toBe(reference(key, 'x'.repeat(512)));
  });

  it('refuses longer keys and texts, of which it would sign a part', () => {
    expect(() => new HmacSha256(new Uint8Array(65))).toThrow(RangeError);
    expect(() => new HmacSha256(new Uint8Array(1)).sign('x'.repeat(513))).toThrow(RangeError);
  });
});
