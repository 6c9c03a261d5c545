import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { packRecord, type SealedRecord, unpackRecord } from '../../lib/backends/cookie/sealed-record.js';
import { RECORD_FORMAT, type SessionRecord } from '../../lib/core/record.js';

const recordWith = (changes: Partial<SessionRecord> = {}): SessionRecord => ({
  format: RECORD_FORMAT,
  handle: '0'.repeat(32),
  values: {},
  createdAt: 1,
  lastSeenAt: 2,
  expiresAt: 3,
  absoluteExpiresAt: 4,
  policy: '',
  ...changes,
});
const valuesOf = (entries: [string, string][]): Record<string, string> =>
  Object.assign({ __proto__: null } as never, Object.fromEntries(entries));
const repack = (text: string) => Buffer.concat([Buffer.of(0), Buffer.from(text)]);

describe.each([false, true])('a record, packed with compress: %s', (compress) => {
  const roundTrip = (sealed: SealedRecord) => unpackRecord(packRecord(sealed, compress));

  it('comes back as it was', () => {
    const names = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('__proto__', 'constructor', 'a\nb', ''),
    );
    const texts = fc.oneof(fc.json(), fc.string({ unit: 'grapheme' }), fc.constant('"\u0000\n\u2028"'));
    const anyRecord = fc.record({
      values: fc.array(fc.tuple(names, texts)).map(valuesOf),
      createdAt: fc.nat(),
      absoluteExpiresAt: fc.nat(),
      policy: fc.constantFrom('', 'browser', 'idle:1000'),
      userId: fc.string(),
    });
    fc.assert(
      fc.property(anyRecord, fc.string(), (changes, id) => {
        const record = recordWith(changes);
        const back = roundTrip({ id, record }) as SealedRecord;
        expect(back.id).toBe(id);
        expect({ ...back.record, values: Object.entries(back.record.values) }).toEqual({
          ...record,
          values: Object.entries(record.values),
        });
      }),
    );
  });

  it('keeps fields that a later version of this format adds', () => {
    const record = { ...recordWith(), added: { some: ['thing'] } };
    expect(roundTrip({ id: 'x', record })).toMatchObject({ record });
  });

  it('of a newer format shows its handle and its format, and nothing else', () => {
    const record = recordWith({ format: RECORD_FORMAT + 1, values: valuesOf([['a', '1']]) });
    expect(roundTrip({ id: 'x', record })).toEqual({ handle: record.handle, format: RECORD_FORMAT + 1 });
  });
});

describe('compression', () => {
  const long = recordWith({ values: valuesOf([['text', '"' + 'so much tea '.repeat(200) + '"']]) });

  it('makes a text shorter, where it is asked for', () => {
    const [plain, packed] = [false, true].map(
      (compress) => packRecord({ id: 'x', record: long }, compress).length,
    );
    expect(packed).toBeLessThan(plain / 5);
  });

  it('is left out where it would make it longer', () => {
    const record = recordWith({ policy: 'browser' });
    const short = { id: 'q', record: { ...record, handle: 'h' } };
    expect(packRecord(short, true).length).toBeLessThanOrEqual(packRecord(short, false).length);
    expect(packRecord({ id: randomText(3000), record }, true)[0]).toBe(1); // base64 has some air
  });

  it('is left out beyond a megabyte, for it is not unpacked there', () => {
    const record = recordWith({ values: valuesOf([['text', 'x'.repeat(1024 * 1024)]]) });
    const packed = packRecord({ id: 'x', record }, true);
    expect(packed[0]).toBe(0);
    expect(unpackRecord(packed)).toMatchObject({ id: 'x' });
  });

  it('of a bomb ends at a megabyte, as nothing', () => {
    const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024));
    const before = process.memoryUsage().arrayBuffers;
    expect(unpackRecord(Buffer.concat([Buffer.of(1), bomb]))).toBeUndefined();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });
});

it.each([
  ['nothing', Buffer.of()],
  ['an unknown packing', Buffer.of(2, 1, 2, 3)],
  ['no deflated data', Buffer.of(1, 255, 255)],
  ['no JSON', repack('x\n')],
  ['no head', repack('')],
  ['JSON that is no list', repack('{}\n')],
  ['a list with nothing in it', repack('[]\n')],
])('%s is no record', (_, packed) => {
  expect(unpackRecord(packed)).toBeUndefined();
});

function randomText(length: number): string {
  return Array.from({ length }, () => Math.floor(Math.random() * 36).toString(36)).join('');
}
