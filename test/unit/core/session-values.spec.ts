import { jest } from '@jest/globals';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { applyChange, type SessionRecord } from '../../../lib/core/record.js';
import { jsonSerializer } from '../../../lib/core/serializer.js';
import { SessionValues, type ValueChanges } from '../../../lib/core/session-values.js';
import { SessionTooLargeError } from '../../../lib/errors.js';

const never = () => {
  throw new Error('nothing was corrupt');
};
const open = (stored: Record<string, string> = {}, onCorrupt: () => void = never) =>
  new SessionValues(stored, jsonSerializer, onCorrupt);

/** Changes as a plain object, without what only `settle` needs. */
const plain = (changes: ValueChanges | undefined) =>
  changes && { set: { ...changes.set }, removed: changes.removed, clears: changes.clears };
const clone = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
const set = (texts: Record<string, string>) => ({ set: texts, removed: [], clears: 0 });

describe('SessionValues', () => {
  describe('knows what changed without being told', () => {
    it('nothing, when nothing was done or only read', () => {
      const values = open({ n: '1', cart: '{"items":[1]}' });
      values.get('n');
      values.get('cart');
      values.get('missing');
      values.has('cart');

      expect(values.changes()).toBeUndefined();
      expect(values.isModified).toBe(false);
    });

    it('what was set', () => {
      const values = open({ n: '1' });
      values.set('n', 2);
      values.set('cart', { items: [] });

      expect(plain(values.changes())).toEqual(set({ n: '2', cart: '{"items":[]}' }));
    });

    it('the same value set again: it is written, because another request may have changed it meanwhile', () => {
      const values = open({ n: '1' });
      values.set('n', 1);

      expect(plain(values.changes())).toEqual(set({ n: '1' }));
    });

    it('what was changed inside a value that was handed out', () => {
      const values = open({ cart: '{"items":[1]}', other: '{"a":1}' });
      (values.get('cart') as { items: number[] }).items.push(2);
      values.get('other');

      expect(values.isModified).toBe(true);
      expect(plain(values.changes())).toEqual(set({ cart: '{"items":[1,2]}' }));
    });

    it.each([
      ['is another each time', () => String(Math.random())],
      ['tells the time', () => String(Math.floor(performance.now() * 1e3))],
    ])('what was changed inside, by a serializer whose text %s', (_, stamp) => {
      const stringify = (value: unknown) => `${stamp()} ${JSON.stringify(value)}`;
      const parse = (text: string) => JSON.parse(text.slice(text.indexOf(' '))) as unknown;
      const values = new SessionValues(
        { cart: '1 {"items":[1]}', read: '2 {"a":{}}' },
        { stringify, parse },
        never,
      );
      values.get('read');
      const cart = values.get('cart') as { items: number[] };
      expect([values.isModified, values.changes(), values.isPending('cart')]).toEqual([
        ...[false, undefined, false],
      ]);

      cart.items.push(2);
      expect([values.isModified, values.isPending('cart'), values.isPending('read')]).toEqual([
        ...[true, true, false],
      ]);
      const changes = values.changes()!;
      expect(Object.keys(changes.set)).toEqual(['cart']);
      expect(parse(changes.set.cart)).toEqual({ items: [1, 2] });

      values.settle(changes);
      expect(values.isModified).toBe(false);
    });

    it('what was changed inside a value after it was set', () => {
      const values = open();
      const cart = { items: [1] };
      values.set('cart', cart);
      cart.items.push(2);

      expect(plain(values.changes())).toEqual(set({ cart: '{"items":[1,2]}' }));
    });

    it('nothing, when a change was taken back', () => {
      const values = open({ cart: '[1]' });
      const cart = values.get('cart') as number[];
      cart.push(2);
      cart.pop();

      expect(values.changes()).toBeUndefined();
    });

    it('what became something that JSON cannot hold: an error that names it, and it counts as changed', () => {
      const values = open({ cart: '{"items":[1]}' });
      (values.get('cart') as { items: unknown[] }).items.push(new Date());

      expect(values.isModified).toBe(true);
      expect(() => values.changes()).toThrow('cart.items[1] is a Date');
    });

    it('a circle that was made later', () => {
      const values = open({ cart: '{}' });
      const cart = values.get('cart') as Record<string, unknown>;
      cart.self = cart;

      expect(values.isModified).toBe(true);
      expect(() => values.changes()).toThrow('cart.self refers back');
    });

    it('the copy that is kept of a class instance, not the instance', () => {
      class Cart {
        items = [1];
      }
      const values = open();
      const cart = new Cart();
      values.set('cart', cart);
      cart.items.push(2);
      const kept = values.get('cart') as Cart;

      expect(kept).not.toBeInstanceOf(Cart);
      expect(plain(values.changes())).toEqual(set({ cart: '{"items":[1]}' }));
      kept.items.push(3);
      expect(plain(values.changes())).toEqual(set({ cart: '{"items":[1,3]}' }));
    });
  });

  it('gives the same object each time', () => {
    const values = open({ cart: '[1]' });
    expect(values.get('cart')).toBe(values.get('cart'));
  });

  it('refuses at the set what JSON would change, and keeps what was there', () => {
    const values = open({ n: '1' });

    expect(() => values.set('n', new Date())).toThrow('n is a Date');
    expect(values.get('n')).toBe(1);
    expect(values.changes()).toBeUndefined();
  });

  describe('removes', () => {
    it('a stored value', () => {
      const values = open({ n: '1' });

      expect(values.delete('n')).toBe(true);
      expect([values.has('n'), values.get('n'), values.delete('n'), values.isEmpty]).toEqual([
        ...[false, undefined, false, true],
      ]);
      expect(plain(values.changes())).toEqual({ set: {}, removed: ['n'], clears: 0 });
    });

    it('a value that is set to undefined', () => {
      const values = open({ n: '1' });
      values.set('n', undefined);

      expect(plain(values.changes())).toEqual({ set: {}, removed: ['n'], clears: 0 });
    });

    it('a value that this request set, without a trace', () => {
      const values = open();
      values.set('n', 1);
      values.delete('n');

      expect(values.changes()).toBeUndefined();
    });

    it('and takes what is set afterwards', () => {
      const values = open({ n: '1' });
      values.delete('n');
      values.set('n', 2);

      expect(plain(values.changes())).toEqual(set({ n: '2' }));
    });

    it('the changes to an object that somebody still holds', () => {
      const values = open({ cart: '[1]' });
      const cart = values.get('cart') as number[];
      values.delete('cart');
      cart.push(2);

      expect(plain(values.changes())).toEqual({ set: {}, removed: ['cart'], clears: 0 });
    });

    it('all: what was stored, what was set, what was removed', () => {
      const values = open({ a: '1', b: '2' });
      values.set('c', 3);
      values.delete('a');
      values.clear();
      values.set('d', 4);

      expect([...values.names()]).toEqual(['d']);
      expect(plain(values.changes())).toEqual({ set: { d: '4' }, removed: [], clears: 1 });
    });
  });

  it('names the stored values first, then the new ones in their order', () => {
    const values = open({ b: '1', a: '2' });
    values.set('z', 1);
    values.set('a', 3);
    values.set('c', 2);
    values.delete('b');
    values.set('b', 4);

    expect([...values.names()]).toEqual(['b', 'a', 'z', 'c']);
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'takes %s for a name as any other',
    (name) => {
      const values = open();
      expect([values.has(name), values.get(name)]).toEqual([false, undefined]);
      values.set(name, { polluted: true });

      const changes = values.changes();
      expect(Object.entries(changes?.set ?? {})).toEqual([[name, '{"polluted":true}']]);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
      values.settle(changes as ValueChanges);
      expect([...values.names()]).toEqual([name]);
      expect(values.get(name)).toEqual({ polluted: true });
    },
  );

  describe('texts that nobody can read', () => {
    it('are no values, are told of once each time they are met, and stay in the store', () => {
      const onCorrupt = jest.fn();
      const values = open({ bad: '{"half', good: '1' }, onCorrupt);

      expect(values.get('bad')).toBeUndefined();
      expect(values.get('bad')).toBeUndefined();
      expect(values.has('bad')).toBe(false);
      expect(values.get('good')).toBe(1);
      expect(onCorrupt).toHaveBeenCalledTimes(1);
      expect(values.changes()).toBeUndefined();
    });

    it('are replaced by what is set', () => {
      const values = open({ bad: '{"half' }, () => undefined);
      values.get('bad');
      values.set('bad', 1);

      expect(plain(values.changes())).toEqual(set({ bad: '1' }));
    });
  });

  describe('what happens while a save is under way', () => {
    it('a set of the same value is written next', () => {
      const values = open();
      values.set('n', 1);
      const changes = values.changes() as ValueChanges;
      values.set('n', 2);
      values.settle(changes);

      expect(plain(values.changes())).toEqual(set({ n: '2' }));
    });

    it('a change inside the same object is written next', () => {
      const values = open();
      const cart = [1];
      values.set('cart', cart);
      const changes = values.changes() as ValueChanges;
      cart.push(2);
      values.settle(changes);

      expect(plain(values.changes())).toEqual(set({ cart: '[1,2]' }));
    });

    it('a removal of what is being written is written next', () => {
      const values = open();
      values.set('n', 1);
      const changes = values.changes() as ValueChanges;
      values.delete('n');
      values.settle(changes);

      expect(values.has('n')).toBe(false);
      expect(plain(values.changes())).toEqual({ set: {}, removed: ['n'], clears: 0 });
    });

    it('a clear is written next, and not by the save under way', () => {
      const values = open({ old: '1' });
      values.set('n', 1);
      const changes = values.changes() as ValueChanges;
      values.clear();
      values.settle(changes);

      expect(values.isEmpty).toBe(true);
      expect(values.changes()).toMatchObject({ clears: 1, set: {} });
    });

    it('a second clear is not taken for the first', () => {
      const values = open({ old: '1' });
      values.clear();
      values.set('n', 1);
      const changes = values.changes() as ValueChanges;
      values.clear();
      values.settle(changes);

      expect(values.isEmpty).toBe(true);
      expect(values.changes()).toMatchObject({ clears: 1 });
    });

    it('nothing: then nothing is left to be written', () => {
      const values = open({ a: '1', b: '{}' });
      values.set('c', { d: 1 });
      values.delete('a');
      (values.get('b') as Record<string, unknown>).x = 1;
      values.settle(values.changes() as ValueChanges);

      expect(values.changes()).toBeUndefined();
      expect(values.isModified).toBe(false);
      expect(values.get('c')).toEqual({ d: 1 });
    });
  });

  it('replace() keeps what was set while the store was asked: that is newer', () => {
    const values = open({ n: '1' });
    values.set('n', 5);
    values.replace('n', '9');

    expect(values.get('n')).toBe(5);
    expect(values.changes()?.set).toEqual({ n: '5' });
  });

  it('replace() takes over what the store holds, and forgets what was handed out', () => {
    const values = open({ n: '[1]', m: '1' });
    values.get('n');
    values.delete('m');
    values.replace('n', '9');
    values.replace('m', undefined);
    values.replace('new', '3');

    expect([values.get('n'), values.has('m'), values.get('new')]).toEqual([9, false, 3]);
    expect(values.changes()).toBeUndefined();
  });

  it('isPending() tells what is not written yet', () => {
    const values = open({ a: '1', cart: '[]', b: '1', untouched: '1' });
    values.set('a', 2);
    (values.get('cart') as unknown[]).push(1);
    values.delete('b');

    expect(['a', 'cart', 'b', 'untouched', 'missing'].map((name) => values.isPending(name))).toEqual([
      ...[true, true, true, false, false],
    ]);
    values.clear();
    expect(values.isPending('untouched')).toBe(true);
  });

  describe('checkSize', () => {
    const check = (values: SessionValues, maxSize: number) =>
      values.checkSize(maxSize, values.changes()?.set ?? {});

    it('counts bytes of names and texts together, what is stored too', () => {
      const values = open({ ab: '"cd"' });
      values.set('ö', 'ü'); // 2 + 4 bytes

      expect(() => check(values, 12)).not.toThrow();
      expect(() => check(values, 11)).toThrow(SessionTooLargeError);
    });

    it('does not count what was removed or cleared', () => {
      const values = open({ big: `"${'x'.repeat(100)}"`, small: '1' });
      values.delete('big');
      expect(() => check(values, 10)).not.toThrow();

      const cleared = open({ big: `"${'x'.repeat(100)}"` });
      cleared.clear();
      expect(() => check(cleared, 1)).not.toThrow();
    });

    it('names the three largest values, and none of what they hold', () => {
      const values = open();
      for (let i = 1; i <= 5; i++) values.set(`v${i}`, 'secret'.repeat(i));

      expect(() => check(values, 20)).toThrow(
        'The session has 110 bytes, maxSize is 20. Largest values: v5 (34 bytes), v4 (28 bytes), v3 (22 bytes).',
      );
    });
  });

  describe('is a plain map, whatever is done in whatever order, and whenever a save happens', () => {
    type Step =
      | { do: 'set' | 'mutate'; name: string; value: unknown }
      | { do: 'get' | 'delete' | 'replace'; name: string; value?: unknown }
      | { do: 'clear' | 'begin' | 'end' | 'fail' };

    const name = fc.constantFrom<string>('a', 'b', 'c', '__proto__');
    const value = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom([1], { x: 1 }, { x: { y: [] } }));
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ do: fc.constantFrom('set' as const, 'mutate' as const), name, value }),
      fc.record({ do: fc.constantFrom('get' as const, 'delete' as const), name }),
      fc.record({ do: fc.constantFrom('clear' as const, 'begin' as const, 'end' as const, 'fail' as const) }),
    );
    const stored = fc
      .array(fc.tuple(name, value))
      .map((pairs) => new Map(pairs.map(([key, each]) => [key, JSON.stringify(each)])));

    const recordOf = (values: Map<string, string>): SessionRecord => ({
      ...{
        format: 1,
        handle: '',
        createdAt: 0,
        lastSeenAt: 0,
        expiresAt: 1,
        absoluteExpiresAt: 1,
        policy: '',
      },
      values: Object.assign(Object.create(null), Object.fromEntries(values)),
    });
    const contents = (values: SessionValues) =>
      new Map([...values.names()].map((each) => [each, clone(values.get(each))]));

    it('(model)', () => {
      fc.assert(
        fc.property(stored, fc.array(step, { maxLength: 30 }), (begin, steps) => {
          let record = recordOf(begin);
          const values = new SessionValues(record.values, jsonSerializer, never);
          const model = new Map<string, unknown>([...begin].map(([key, text]) => [key, JSON.parse(text)]));
          let pending: ValueChanges | undefined;
          const acknowledge = () => {
            if (!pending) return;
            const { set: texts, removed, clears } = pending;
            const times = { lastSeenAt: 0, expiresAt: 1, basedOn: '' };
            record = applyChange(record, { set: texts, removed, cleared: clears > 0, ...times });
            values.settle(pending);
            pending = undefined;
          };

          for (const each of steps) {
            switch (each.do) {
              case 'set':
                values.set(each.name, clone(each.value));
                model.set(each.name, clone(each.value));
                break;
              case 'mutate': {
                const object = values.get(each.name);
                if (typeof object !== 'object' || Array.isArray(object)) break;
                (object as Record<string, unknown>).m = clone(each.value);
                (model.get(each.name) as Record<string, unknown>).m = clone(each.value);
                break;
              }
              case 'get':
                expect(values.get(each.name)).toEqual(model.get(each.name));
                expect(values.has(each.name)).toBe(model.has(each.name));
                break;
              case 'delete':
                expect(values.delete(each.name)).toBe(model.delete(each.name));
                break;
              case 'clear':
                values.clear();
                model.clear();
                break;
              case 'begin':
                pending ??= values.changes();
                break;
              case 'end':
                acknowledge();
                break;
              case 'fail': // the save failed: all of it stays a change
                pending = undefined;
                break;
              default:
                throw new Error(each.do);
            }
          }

          expect(isDeepStrictEqual(contents(values), model)).toBe(true);
          acknowledge();
          pending = values.changes();
          expect(values.isModified).toBe(pending !== undefined);
          acknowledge();
          expect(values.changes()).toBeUndefined();
          const kept = new Map(
            Object.entries(record.values).map(([key, text]) => [key, JSON.parse(text) as unknown]),
          );
          expect(isDeepStrictEqual(kept, model)).toBe(true);
        }),
        { numRuns: 2_000 },
      );
    });
  });
});
