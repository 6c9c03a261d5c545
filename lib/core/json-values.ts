import { types } from 'node:util';
import { SessionValueError } from '../errors.js';
import type { SessionSerializer } from './serializer.js';

/** How a checked value may be kept: `same`, the object itself; `copy`, as the plain copy that comes back later. */
export type Keeping = 'same' | 'copy';

/** What says what it takes beyond JSON. */
export type Taker = Pick<SessionSerializer, 'accepts'>;

/**
 * Checks that a value comes back from JSON as what it is (law 11), or from a serializer that accepts more. Undefined properties are dropped, class instances
 * come back as plain copies; everything else that JSON would change is an error. What the serializer accepts is taken as it
 * is, with all that it holds.
 *
 * @param name the value's top-level name, with which the error's path begins
 * @param taker the serializer that writes the value
 * @throws SessionValueError which names the path and what to store instead
 */
export function checkJson(value: unknown, name: string, taker: Taker): Keeping {
  if (typeof value !== 'object' || value === null) {
    checkLeaf(value, [name], taker);
    return 'same';
  }
  return checkObject(value, [name], [], taker);
}

type Path = (string | number)[];

function checkAny(value: unknown, path: Path, ancestors: object[], taker: Taker): Keeping {
  if (typeof value === 'object' && value !== null) return checkObject(value, path, ancestors, taker);
  checkLeaf(value, path, taker);
  return 'same';
}

function checkLeaf(value: unknown, path: Path, taker: Taker): void {
  switch (typeof value) {
    case 'number':
      if (!Number.isFinite(value) && !taker.accepts?.(value))
        fail(path, `is ${value}`, 'store null, or leave it out');
      return;
    case 'bigint':
      if (!taker.accepts?.(value)) fail(path, 'is a BigInt', 'store value.toString()');
      return;
    case 'function':
      return fail(path, 'is a function', 'store what it returns');
    case 'symbol':
      return fail(path, 'is a symbol', 'store its description');
    case 'undefined':
      return fail(path, 'is undefined', 'store null, or leave it out');
    default: // texts and booleans are what they are
  }
}

function checkObject(value: object, path: Path, ancestors: object[], taker: Taker): Keeping {
  if (ancestors.includes(value)) fail(path, 'refers back to an object that holds it', 'store a tree');
  ancestors.push(value);
  const keeping = Array.isArray(value)
    ? checkArray(value, path, ancestors, taker)
    : checkProperties(value, path, ancestors, taker);
  ancestors.pop();
  return keeping;
}

function checkArray(value: unknown[], path: Path, ancestors: object[], taker: Taker): Keeping {
  let keeping: Keeping = Object.getPrototypeOf(value) === Array.prototype ? 'same' : 'copy';
  for (let i = 0; i < value.length; i++) {
    if (value[i] === undefined) fail([...path, i], i in value ? 'is undefined' : 'is a hole', 'store null');
    path.push(i);
    if (checkAny(value[i], path, ancestors, taker) === 'copy') keeping = 'copy';
    path.pop();
  }
  if (Object.keys(value).length !== value.length)
    fail(path, 'is an array with named properties', 'store an object');
  return keeping;
}

function checkProperties(value: object, path: Path, ancestors: object[], taker: Taker): Keeping {
  let keeping: Keeping = 'same';
  if (!isPlain(value)) {
    if (!isUnwritable(value) && taker.accepts?.(value)) return 'same';
    keeping = checkInstance(value, path);
  }
  for (const symbol of Object.getOwnPropertySymbols(value)) {
    if (Object.prototype.propertyIsEnumerable.call(value, symbol))
      fail(path, 'has a symbol as a key', 'use a string');
  }
  for (const key of Object.keys(value)) {
    const property = (value as Record<string, unknown>)[key];
    if (property === undefined) continue; // dropped, as JSON.stringify does
    path.push(key);
    if (checkAny(property, path, ancestors, taker) === 'copy') keeping = 'copy';
    path.pop();
  }
  return keeping;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Object.prototype of another realm (a vm context, as test runners use) has no prototype either.
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

/** Class instances become plain copies of their properties, unless JSON would make something else of them. */
function checkInstance(value: object, path: Path): Keeping {
  for (const [is, what, instead] of CHANGED_BY_JSON) if (is(value)) fail(path, what, instead);
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
    fail(path, `is a ${value.constructor?.name ?? 'object'} with toJSON()`, 'store what toJSON() returns');
  }
  return 'copy';
}

/** No text stands for these, whatever a serializer says. */
function isUnwritable(value: object): boolean {
  return types.isPromise(value) || isWeakCollection(value);
}

function isWeakCollection(value: object): boolean {
  return types.isWeakMap(value) || types.isWeakSet(value);
}

const CHANGED_BY_JSON: [(value: object) => boolean, string, string][] = [
  [types.isDate, 'is a Date', 'store date.toISOString() and read it with new Date(text)'],
  [types.isMap, 'is a Map', 'store Object.fromEntries(map) or [...map]'],
  [types.isSet, 'is a Set', 'store [...set]'],
  [types.isRegExp, 'is a RegExp', 'store its source'],
  [types.isNativeError, 'is an Error', 'store its message'],
  [types.isPromise, 'is a Promise', 'await it first'],
  [types.isBoxedPrimitive, 'is a boxed primitive', 'store value.valueOf()'],
  [Buffer.isBuffer, 'is a Buffer', "store buffer.toString('base64')"],
  [ArrayBuffer.isView, 'is a typed array', 'store [...array]'],
  [types.isAnyArrayBuffer, 'is an ArrayBuffer', "store Buffer.from(it).toString('base64')"],
  [isWeakCollection, 'is a weak collection', 'store what it holds'],
];

function fail(path: Path, what: string, instead: string): never {
  throw new SessionValueError(pathText(path), what, instead);
}

/** `cart.items[2].when` */
function pathText([name, ...rest]: Path): string {
  const steps = rest.map((step) => {
    if (typeof step === 'number') return `[${step}]`;
    return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  });
  return name + steps.join('');
}
