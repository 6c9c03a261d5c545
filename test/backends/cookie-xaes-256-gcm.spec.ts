import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { Xaes256Gcm } from '../../lib/backends/cookie/xaes-256-gcm.js';

const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
const keyOf = (byte: number) => Buffer.alloc(32, byte);
const NONCE = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');

// https://c2sp.org/XAES-256-GCM, "Test vectors": the first with a zero as the highest bit of L, the second with a one.
const VECTORS = [
  { key: 1, aad: '', sealed: 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271' },
  {
    key: 3,
    aad: 'c2sp.org/XAES-256-GCM',
    sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d',
  },
];

describe('XAES-256-GCM', () => {
  it.each(VECTORS)('gives the published vector of key $key', ({ key, aad, sealed }) => {
    const cipher = new Xaes256Gcm(keyOf(key));
    const plaintext = Buffer.from('XAES-256-GCM');

    expect(hex(cipher.seal(NONCE, plaintext, Buffer.from(aad)))).toBe(sealed);
    expect(cipher.open(NONCE, Buffer.from(sealed, 'hex'), Buffer.from(aad))).toEqual(plaintext);
  });

  it('gives the published hash of 10,000 random messages, and opens each', () => {
    const random = shake128Stream(4_000_000);
    const hash = createHash('shake128', { outputLength: 32 });
    expect(hex(shake128Stream(16)(16))).toBe('7f9c2ba4e88f827d616045507605853e');

    for (let i = 0; i < 10_000; i++) {
      const cipher = new Xaes256Gcm(random(32));
      const nonce = random(24);
      const plaintext = random(random(1)[0]);
      const aad = random(random(1)[0]);
      const sealed = cipher.seal(nonce, plaintext, aad);
      if (!cipher.open(nonce, sealed, aad)?.equals(plaintext)) throw new Error(`Message ${i} does not open.`);
      hash.update(sealed);
    }

    expect(hash.digest('hex')).toBe('e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939');
  });

  it('serves many messages by one object, in any order', () => {
    const cipher = new Xaes256Gcm(keyOf(1));
    const message = fc.record({
      nonce: fc.uint8Array({ minLength: 24, maxLength: 24 }),
      plaintext: fc.uint8Array({ maxLength: 100 }),
      aad: fc.uint8Array({ maxLength: 100 }),
    });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 5 }), (messages) => {
        const sealed = messages.map(({ nonce, plaintext, aad }) => cipher.seal(nonce, plaintext, aad));
        const fresh = messages.map(({ nonce, plaintext, aad }) =>
          new Xaes256Gcm(keyOf(1)).seal(nonce, plaintext, aad),
        );
        expect(sealed).toEqual(fresh);
        messages.reverse().forEach(({ nonce, plaintext, aad }, index) => {
          expect(hex(cipher.open(nonce, sealed[messages.length - 1 - index], aad))).toBe(hex(plaintext));
        });
      }),
    );
  });

  it('opens nothing with one bit changed: of the text, the nonce, the additional data or the key', () => {
    const key = keyOf(7);
    const parts = { nonce: Buffer.from(NONCE), aad: Buffer.from('aad'), key };
    const sealed = new Xaes256Gcm(key).seal(parts.nonce, Buffer.from('a plaintext'), parts.aad);

    for (const flipped of bitFlips(sealed))
      expect(new Xaes256Gcm(key).open(parts.nonce, flipped, parts.aad)).toBeUndefined();
    for (const flipped of bitFlips(parts.nonce))
      expect(new Xaes256Gcm(key).open(flipped, sealed, parts.aad)).toBeUndefined();
    for (const flipped of bitFlips(parts.aad))
      expect(new Xaes256Gcm(key).open(parts.nonce, sealed, flipped)).toBeUndefined();
    for (const flipped of bitFlips(key))
      expect(new Xaes256Gcm(flipped).open(parts.nonce, sealed, parts.aad)).toBeUndefined();
  });

  it('opens nothing that is cut short, down to nothing at all', () => {
    const cipher = new Xaes256Gcm(keyOf(7));
    const sealed = cipher.seal(NONCE, Buffer.from('a plaintext'), Buffer.of());
    for (let length = 0; length < sealed.length; length++)
      expect(cipher.open(NONCE, sealed.subarray(0, length), Buffer.of())).toBeUndefined();
  });

  it.each([0, 16, 31, 33])('refuses a key of %d bytes', (length) => {
    expect(() => new Xaes256Gcm(Buffer.alloc(length))).toThrow(RangeError);
  });

  it.each([0, 12, 23, 25])('refuses a nonce of %d bytes', (length) => {
    const cipher = new Xaes256Gcm(keyOf(1));
    expect(() => cipher.seal(Buffer.alloc(length), Buffer.of(), Buffer.of())).toThrow(RangeError);
    expect(() => cipher.open(Buffer.alloc(length), Buffer.alloc(32), Buffer.of())).toThrow(RangeError);
  });
});

/** The generator of the published tests: SHAKE-128 of nothing, read piece by piece. */
function shake128Stream(total: number): (bytes: number) => Buffer {
  const stream = createHash('shake128', { outputLength: total }).digest();
  let position = 0;
  return (bytes) => {
    const piece = stream.subarray(position, position + bytes);
    if (piece.length < bytes) throw new Error('The stream is too short.');
    position += bytes;
    return piece;
  };
}

function* bitFlips(bytes: Buffer): Generator<Buffer> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] ^= 1 << (bit & 7);
    yield flipped;
  }
}
