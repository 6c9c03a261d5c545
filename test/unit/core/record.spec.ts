import fc from 'fast-check';
import {
  applyChange,
  applyTouch,
  atomicChange,
  type SessionChange,
  type SessionRecord,
  tombstoneOf,
} from '../../../lib/core/record.js';

const record = (more: Partial<SessionRecord> = {}): SessionRecord => ({
  format: 1,
  handle: '0'.repeat(32),
  values: { lang: '"en"', cart: '[1]' },
  createdAt: 100,
  lastSeenAt: 200,
  expiresAt: 1_000,
  absoluteExpiresAt: 5_000,
  policy: '',
  ...more,
});
const change = (more: Partial<SessionChange> = {}): SessionChange => ({
  set: {},
  removed: [],
  lastSeenAt: 300,
  expiresAt: 1_100,
  basedOn: '',
  ...more,
});
const frozen = <T extends object>(value: T): T => {
  Object.values(value).forEach((each) => typeof each === 'object' && each !== null && frozen(each));
  return Object.freeze(value);
};

describe('applyChange', () => {
  it('replaces what was set, drops what was removed, keeps the rest as it is stored now', () => {
    const { values } = applyChange(
      record({ values: { a: '1', b: '2', c: '3' } }),
      change({ set: { a: '10', d: '4' }, removed: ['b', 'never there'] }),
    );

    expect({ ...values }).toEqual({ a: '10', c: '3', d: '4' });
  });

  it('replaces values whole, and does not merge into them', () => {
    const { values } = applyChange(
      record({ values: { cart: '{"a":1}' } }),
      change({ set: { cart: '{"b":2}' } }),
    );

    expect(values.cart).toBe('{"b":2}');
  });

  it('gives an anonymous session to the user who authenticated, with a new absolute deadline', () => {
    const authentication = { userId: '7', absoluteExpiresAt: 9_000 };

    expect(applyChange(record(), change({ authentication }))).toMatchObject({
      userId: '7',
      absoluteExpiresAt: 9_000,
      handle: record().handle,
    });
    expect(applyChange(record({ userId: '7' }), change())).toMatchObject({
      userId: '7',
      absoluteExpiresAt: 5_000,
    });
  });

  it('clears what is stored before it sets', () => {
    expect({ ...applyChange(record(), change({ cleared: true, set: { new: '1' } })).values }).toEqual({
      new: '1',
    });
  });

  it('moves the deadline, and lastSeenAt never backwards', () => {
    expect(applyChange(record(), change())).toMatchObject({ expiresAt: 1_100, lastSeenAt: 300 });
    expect(applyChange(record({ lastSeenAt: 999 }), change())).toMatchObject({ lastSeenAt: 999 });
  });

  it('drops a deadline that was computed from another policy than the stored one', () => {
    const stored = record({ policy: 'idle:60000', expiresAt: 61_000 });

    expect(applyChange(stored, change({ basedOn: '' }))).toMatchObject({
      policy: 'idle:60000',
      expiresAt: 61_000,
    });
  });

  it('a policy of its own wins over the stored one, with the deadline that it means', () => {
    const stored = record({ policy: 'idle:60000', expiresAt: 61_000 });

    expect(applyChange(stored, change({ policy: 'browser', expiresAt: 1_500 }))).toMatchObject({
      policy: 'browser',
      expiresAt: 1_500,
    });
    expect(applyChange(stored, change({ policy: '', expiresAt: 1_500 }))).toMatchObject({
      policy: '',
      expiresAt: 1_500,
    });
  });

  it('leaves the absolute deadline, the handle, the format, the user and the begin alone', () => {
    const stored = record({ userId: '7' });
    const { format, handle, createdAt, absoluteExpiresAt, userId } = stored;

    expect(applyChange(stored, change({ set: { a: '1' } }))).toMatchObject({
      ...{ format, handle, createdAt, absoluteExpiresAt, userId },
    });
  });

  it('makes a corrupt record whole', () => {
    expect(
      applyChange(record({ corrupt: true, values: {} }), change({ set: { a: '1' } })).corrupt,
    ).toBeUndefined();
  });

  it('changes neither argument', () => {
    expect(() =>
      applyChange(frozen(record()), frozen(change({ set: { lang: '"de"' }, removed: ['cart'] }))),
    ).not.toThrow();
  });

  it.each(['__proto__', 'constructor', 'hasOwnProperty', 'toString'])(
    'takes %s for a name as any other',
    (name) => {
      const set = JSON.parse(`{${JSON.stringify(name)}: "1"}`) as Record<string, string>;
      const applied = applyChange(record({ values: {} }), change({ set }));
      expect(Object.entries(applied.values)).toEqual([[name, '1']]);
      expect(JSON.parse(JSON.stringify(applied.values))).toEqual(set);

      const removed = applyChange(applied, change({ removed: [name] }));
      expect(Object.keys(removed.values)).toEqual([]);
    },
  );

  it('gives the same in any order to changes of different values', () => {
    const texts = fc.dictionary(fc.string(), fc.string());
    fc.assert(
      fc.property(texts, texts, texts, (stored, one, two) => {
        const other = Object.fromEntries(Object.entries(two).filter(([name]) => !Object.hasOwn(one, name)));
        const apply = (...sets: Record<string, string>[]) =>
          sets.reduce((all, set) => applyChange(all, change({ set })), record({ values: stored })).values;
        expect({ ...apply(one, other) }).toEqual({ ...apply(other, one) });
      }),
    );
  });
});

describe('applyTouch', () => {
  const touch = { lastSeenAt: 300, expiresAt: 1_100, basedOn: '' };

  it('moves the deadline and nothing else', () => {
    const stored = record();
    expect(applyTouch(stored, touch)).toEqual({ ...stored, lastSeenAt: 300, expiresAt: 1_100 });
  });

  it('is dropped where the stored policy is another', () => {
    const stored = record({ policy: 'browser' });
    expect(applyTouch(stored, touch)).toEqual(stored);
  });

  it('moves lastSeenAt never backwards', () => {
    expect(applyTouch(record({ lastSeenAt: 999 }), touch).lastSeenAt).toBe(999);
  });
});

describe('atomicChange', () => {
  const apply = (
    stored: SessionRecord,
    name: string,
    update: (text: string | undefined) => string | undefined,
  ) => {
    const result = atomicChange(stored, name, update);
    return { ...result, record: applyChange(stored, result.change) };
  };

  it('gives the stored text, and sets what comes back', () => {
    const { record: next, text } = apply(
      record({ values: { n: '1', other: '2' } }),
      'n',
      (before) => `${before}0`,
    );

    expect(text).toBe('10');
    expect({ ...next.values }).toEqual({ n: '10', other: '2' });
  });

  it('gives undefined where there is no such value, and removes it for undefined', () => {
    const seen: unknown[] = [];
    apply(record({ values: {} }), 'n', (before) => void seen.push(before));
    const { record: next, text } = apply(record({ values: { n: '1' } }), 'n', () => undefined);

    expect(seen).toEqual([undefined]);
    expect(text).toBeUndefined();
    expect(Object.keys(next.values)).toEqual([]);
  });

  it('leaves the deadlines and the policy alone', () => {
    const stored = record({ policy: 'idle:60000' });

    expect(apply(stored, 'n', () => '1').record).toMatchObject({
      policy: 'idle:60000',
      expiresAt: stored.expiresAt,
      lastSeenAt: stored.lastSeenAt,
    });
  });

  it.each(['__proto__', 'constructor'])('takes %s for a name as any other', (name) => {
    const seen: unknown[] = [];
    const { record: next } = apply(record({ values: {} }), name, (before) => {
      seen.push(before);
      return '1';
    });

    expect(seen).toEqual([undefined]);
    expect(Object.entries(next.values)).toEqual([[name, '1']]);
  });
});

describe('tombstoneOf', () => {
  it('keeps nothing of what the session held, and not the user', () => {
    const stone = tombstoneOf(record({ userId: '7', corrupt: true }), 'ended', 400);

    expect(stone).toEqual({ ...record(), values: {}, expiresAt: 400, gone: 'ended' });
    expect(stone).not.toHaveProperty('userId');
    expect(stone).not.toHaveProperty('corrupt');
  });

  it('says what became of the session', () => {
    expect(tombstoneOf(record(), 'renamed', 400).gone).toBe('renamed');
  });
});
