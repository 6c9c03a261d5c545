import assert from 'node:assert';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { checkJson } from '../../../lib/core/json-values.js';
import { jsonSerializer } from '../../../lib/core/serializer.js';
import { SessionValueError } from '../../../lib/errors.js';

class Cart {
  items = ['tea'];
  get total() {
    return this.items.length;
  }
  #secret = 1;
  reveal() {
    return this.#secret;
  }
}

const problem = (value: unknown, name = 'cart'): SessionValueError => {
  try {
    checkJson(value, name, jsonSerializer);
  } catch (error) {
    if (error instanceof SessionValueError) return error;
    throw error;
  }
  throw new Error('nothing was wrong');
};

describe('checkJson', () => {
  describe('takes what the serializer accepts', () => {
    const taking = (accepts: (value: unknown) => boolean) => ({ accepts });
    const all = taking(() => true);

    it.each<[string, unknown]>([
      ['a Date', { at: new Date() }],
      ['a BigInt', 10n],
      ['NaN', [NaN]],
      ['a class instance, as it is', new Cart()],
      ['whatever it holds', new Map([['f', () => 1]])],
      ['what has toJSON()', [new URL('http://localhost')]],
    ])('%s', (_, value) => {
      expect(checkJson(value, 'cart', all)).toBe('same');
    });

    it('asks for nothing that JSON keeps', () => {
      const asked: unknown[] = [];
      const noting = taking((value) => asked.push(value) < 0);
      checkJson({ a: [1, 'x', null, true, { b: undefined }] }, 'cart', noting);
      expect(checkJson([new Cart()], 'cart', noting)).toBe('copy');
      expect(asked).toEqual([new Cart()]);
    });

    it.each<[string, unknown, string]>([
      ['a function', [() => 1], 'is a function'],
      ['a symbol', [Symbol('s')], 'is a symbol'],
      ['a promise', [Promise.resolve()], 'is a Promise'],
      ['a weak collection', [new WeakMap()], 'is a weak collection'],
      ['a hole', [, 1], 'is a hole'], // eslint-disable-line no-sparse-arrays
    ])('but never %s', (_, value, what) => {
      expect(() => checkJson(value, 'cart', all)).toThrow(what);
    });

    it('as a method of the serializer', () => {
      class Dates {
        readonly kind = Date;
        accepts(value: unknown) {
          return value instanceof this.kind;
        }
      }
      expect(checkJson(new Date(), 'cart', new Dates())).toBe('same');
      expect(() => checkJson([1n], 'cart', new Dates())).toThrow('cart[0] is a BigInt');
    });
  });

  describe('keeps what JSON keeps', () => {
    it.each<[string, unknown]>([
      ['texts', 'tea'],
      ['the empty text', ''],
      ['numbers', 1.5e300],
      ['booleans', false],
      ['null', null],
      ['arrays', [1, [2, []]]],
      ['objects', { a: { b: {} } }],
      ['objects without a prototype', Object.assign(Object.create(null), { a: 1 })],
      ['objects of another realm', runInNewContext('({ a: { b: 1 } })')],
      ['a property named __proto__', JSON.parse('{"__proto__": {"a": 1}}')],
      ['properties named constructor and hasOwnProperty', { constructor: 1, hasOwnProperty: 2, toString: 3 }],
      ['undefined properties, which are dropped', { a: undefined, b: 1 }],
      ['the same object twice', ((tea) => [tea, { tea }])({ name: 'tea' })],
      ['texts with lone surrogates', '\ud800'],
    ])('%s', (_, value) => {
      expect(checkJson(value, 'name', jsonSerializer)).toBe('same');
    });

    it('any JSON value comes back as it was', () => {
      fc.assert(
        fc.property(fc.jsonValue(), (value) => {
          expect(checkJson(value, 'name', jsonSerializer)).toBe('same');
          const text = JSON.stringify(value);
          assert.deepEqual(JSON.parse(text), value); // loosely: -0 comes back as 0, which is equal to it
          expect(JSON.stringify(JSON.parse(text))).toBe(text);
        }),
      );
    });
  });

  describe('keeps class instances as plain copies', () => {
    it.each<[string, unknown]>([
      ['an instance', new Cart()],
      ['an instance inside', { carts: [new Cart()] }],
      ['a subclass of Array', new (class Items extends Array<string> {})('a', 'b')],
      ['an object with a prototype of its own', Object.create({ inherited: 1 })],
    ])('%s', (_, value) => {
      expect(checkJson(value, 'name', jsonSerializer)).toBe('copy');
    });
  });

  describe('names the path of what JSON would change, and what to store instead', () => {
    const circle: Record<string, unknown> = { a: {} };
    (circle.a as Record<string, unknown>).b = [circle];
    const hole: unknown[] = [1, 2];
    hole[3] = 4;

    it.each<[unknown, string]>([
      [
        { items: [1, 2, { when: new Date(0) }] },
        'cart.items[2].when is a Date: store date.toISOString() and read it with new Date(text).',
      ],
      [new Date(NaN), 'cart is a Date: store date.toISOString() and read it with new Date(text).'],
      [
        runInNewContext('new Date()'),
        'cart is a Date: store date.toISOString() and read it with new Date(text).',
      ],
      [{ total: NaN }, 'cart.total is NaN: store null, or leave it out.'],
      [[Infinity], 'cart[0] is Infinity: store null, or leave it out.'],
      [[-Infinity], 'cart[0] is -Infinity: store null, or leave it out.'],
      [{ id: 7n }, 'cart.id is a BigInt: store value.toString().'],
      [{ pay: () => 1 }, 'cart.pay is a function: store what it returns.'],
      [Cart, 'cart is a function: store what it returns.'],
      [{ a: Symbol('x') }, 'cart.a is a symbol: store its description.'],
      [{ [Symbol('x')]: 1 }, 'cart has a symbol as a key: use a string.'],
      [[undefined], 'cart[0] is undefined: store null.'],
      [hole, 'cart[2] is a hole: store null.'],
      [new Array(1), 'cart[0] is a hole: store null.'],
      [Object.assign([1], { total: 1 }), 'cart is an array with named properties: store an object.'],
      [undefined, 'cart is undefined: store null, or leave it out.'],
      [new Map(), 'cart is a Map: store Object.fromEntries(map) or [...map].'],
      [{ tags: new Set() }, 'cart.tags is a Set: store [...set].'],
      [new WeakMap(), 'cart is a weak collection: store what it holds.'],
      [new WeakSet(), 'cart is a weak collection: store what it holds.'],
      [/x/, 'cart is a RegExp: store its source.'],
      [new TypeError('x'), 'cart is an Error: store its message.'],
      [Promise.resolve(), 'cart is a Promise: await it first.'],
      [Object(1), 'cart is a boxed primitive: store value.valueOf().'],
      [Object('x'), 'cart is a boxed primitive: store value.valueOf().'],
      [Buffer.from('x'), "cart is a Buffer: store buffer.toString('base64')."],
      [new Uint8Array(1), 'cart is a typed array: store [...array].'],
      [new DataView(new ArrayBuffer(1)), 'cart is a typed array: store [...array].'],
      [new ArrayBuffer(1), "cart is an ArrayBuffer: store Buffer.from(it).toString('base64')."],
      [new SharedArrayBuffer(1), "cart is an ArrayBuffer: store Buffer.from(it).toString('base64')."],
      [{ at: new URL('http://a') }, 'cart.at is a URL with toJSON(): store what toJSON() returns.'],
      [Object.create({ toJSON: () => 1 }), 'cart is a Object with toJSON(): store what toJSON() returns.'],
      [{ toJSON: () => 1 }, 'cart.toJSON is a function: store what it returns.'],
      [circle, 'cart.a.b[0] refers back to an object that holds it: store a tree.'],
      [{ 'a b': { 'c"d': NaN } }, 'cart["a b"]["c\\"d"] is NaN: store null, or leave it out.'],
      [{ 0: NaN }, 'cart["0"] is NaN: store null, or leave it out.'],
      [{ größe: NaN }, 'cart.größe is NaN: store null, or leave it out.'],
      [JSON.parse('{"__proto__": [1, 2]}'), ''],
    ])('%o', (value, message) => {
      if (message) expect(problem(value).message).toBe(message);
      else expect(checkJson(value, 'cart', jsonSerializer)).toBe('same');
    });

    it('as the error that users catch', () => {
      expect(problem({ a: [NaN] }, 'prices')).toMatchObject({
        code: 'SESSION_VALUE',
        name: 'SessionValueError',
        path: 'prices.a[0]',
      });
    });

    it('and never the value itself', () => {
      const password = 'hunter2';
      expect(problem({ password, when: new Date(password) }).message).not.toContain(password);
    });
  });
});
