import { isDeepStrictEqual } from 'node:util';
import { checkJson } from './json-values.js';
import type { ValueTexts } from './record.js';
import { jsonSerializer, type SessionSerializer } from './serializer.js';
import { checkSize } from './value-sizes.js';

/** What a request did to the values, as texts: the part of a change that is about values. */
export interface ValueChanges {
  readonly set: ValueTexts;
  readonly removed: readonly string[];
  /** How often the session was cleared since the load or the last commit. */
  readonly clears: number;
  /** What `set` was computed from, so that {@link SessionValues.settle} can tell what changed meanwhile. */
  readonly written: ReadonlyMap<string, unknown>;
}

/** Names of the framework's own values; `keys()` and `data` do not show them. */
export const RESERVED_PREFIX = '_nest.';

export function isReserved(name: string): boolean {
  return name.startsWith(RESERVED_PREFIX);
}

/** A value that this request touched. */
interface Touched {
  value: unknown;
  /** The text that the store holds, or that `set` computed; it tells what an object was before the commit. */
  text: string;
  /** Set by this request and not written yet; otherwise it was handed out. */
  isSet: boolean;
}

/**
 * The values of one session during one request: texts as the store gave them, parsed when first read; what was set;
 * what was removed. Knows what changed without being told: objects that were handed out are compared with what they were.
 */
export class SessionValues {
  /** Is told of what is set, deleted or cleared from now on; for values that nobody writes any more. */
  onLateChange: (() => void) | undefined;
  #stored: ValueTexts;
  #touched: Map<string, Touched> | undefined;
  #removed: Set<string> | undefined;
  #clears = 0;
  readonly #serializer: SessionSerializer;
  readonly #onCorrupt: () => void;

  constructor(stored: ValueTexts, serializer: SessionSerializer, onCorrupt: () => void) {
    this.#stored = stored;
    this.#serializer = serializer;
    this.#onCorrupt = onCorrupt;
  }

  has(name: string): boolean {
    return this.#touched?.has(name) || this.#isStored(name);
  }

  get(name: string): unknown {
    const touched = this.#touched?.get(name);
    if (touched) return touched.value;
    if (!this.#isStored(name)) return undefined;
    const text = this.#stored[name];
    const value = this.#parse(text);
    if (value === undefined)
      this.replace(name, undefined); // unreadable: left in the store, but not a value
    else if (typeof value === 'object') this.#touch(name, { value, text, isSet: false });
    return value;
  }

  /** A value that the caller does not change, so that nothing of it is compared at the commit. */
  peek(name: string): unknown {
    const touched = this.#touched?.get(name);
    if (touched) return touched.value;
    return this.#isStored(name) ? this.#parse(this.#stored[name]) : undefined;
  }

  /** The text of a value, as it was stored or set; undefined when there is none. */
  text(name: string): string | undefined {
    return this.has(name) ? this.#knownText(name) : undefined;
  }

  /** @throws SessionValueError when the value would come back as something else */
  set(name: string, value: unknown): void {
    if (value === undefined) {
      this.delete(name);
      return;
    }
    const keeping = checkJson(value, name, this.#serializer);
    const text = this.#serializer.stringify(value);
    this.#touch(name, {
      value: keeping === 'copy' ? this.#serializer.parse(text) : value,
      text,
      isSet: true,
    });
    this.#removed?.delete(name);
    this.onLateChange?.();
  }

  delete(name: string): boolean {
    const had = this.has(name);
    if (!had) return false;
    this.#forget(name);
    this.onLateChange?.();
    return true;
  }

  clear(): void {
    this.onLateChange?.();
    this.#touched?.clear();
    this.#removed?.clear();
    this.#clears++;
  }

  /** All names, the framework's own included: as stored, then the new ones in the order in which they came. */
  *names(): Generator<string> {
    for (const name of Object.keys(this.#stored)) if (this.#isStored(name)) yield name;
    for (const name of this.#touched?.keys() ?? []) if (!this.#isStored(name)) yield name;
  }

  get isEmpty(): boolean {
    return this.names().next().done === true;
  }

  /** Whether there is anything to write; cheap unless objects were handed out. */
  get isModified(): boolean {
    if (this.#clears || this.#removed?.size) return true;
    for (const [, touched] of this.#touched ?? []) {
      if (touched.isSet || this.#hasChanged(touched)) return true;
    }
    return false;
  }

  /**
   * What has to be written; undefined when nothing has.
   *
   * @throws SessionValueError when an object that was handed out became something that JSON cannot hold
   */
  changes(): ValueChanges | undefined {
    let written: Map<string, Touched> | undefined;
    const set: Record<string, string> = { __proto__: null } as never;
    for (const [name, touched] of this.#touched ?? []) {
      const text = this.#currentText(name, touched);
      if (!touched.isSet && text === touched.text) continue;
      set[name] = text;
      (written ??= new Map()).set(name, touched);
    }
    if (!written && !this.#clears && !this.#removed?.size) return undefined;
    return { set, removed: [...(this.#removed ?? [])], clears: this.#clears, written: written ?? new Map() };
  }

  /** Takes changes that were acknowledged as the new base; what was changed since they were computed stays a change. */
  settle({ set, removed, clears, written }: ValueChanges): void {
    const stored: Record<string, string> = { __proto__: null } as never;
    if (!clears) Object.assign(stored, this.#stored);
    for (const name of removed) {
      delete stored[name];
      this.#removed?.delete(name);
    }
    this.#stored = Object.assign(stored, set);
    this.#clears -= clears;
    for (const [name, before] of written) {
      const touched = this.#touched?.get(name);
      if (!touched) (this.#removed ??= new Set()).add(name);
      else if (touched === before) Object.assign(touched, { text: set[name], isSet: false });
    }
  }

  /** Takes the text that the store holds now for a name (undefined: none); what the request did to it is forgotten. */
  replace(name: string, text: string | undefined): void {
    if (!this.#touched?.get(name)?.isSet) this.#touched?.delete(name); // set while the update ran: that is newer
    this.#removed?.delete(name);
    const stored: Record<string, string> = Object.assign({ __proto__: null } as never, this.#stored);
    if (text === undefined) delete stored[name];
    else stored[name] = text;
    this.#stored = stored;
  }

  /** Whether this request changed the value and did not write it yet. */
  isPending(name: string): boolean {
    const touched = this.#touched?.get(name);
    if (touched) return touched.isSet || this.#hasChanged(touched);
    return this.#clears > 0 || this.#removed?.has(name) === true;
  }

  /**
   * Checks the size that the whole would have with `set` applied, in bytes of names and texts.
   *
   * @throws SessionTooLargeError which names the largest values
   */
  checkSize(maxSize: number, set: ValueTexts): void {
    const texts = new Map(Object.entries(set));
    for (const name of this.names()) if (!texts.has(name)) texts.set(name, this.#knownText(name));
    checkSize(texts, maxSize);
  }

  #isStored(name: string): boolean {
    return !this.#clears && Object.hasOwn(this.#stored, name) && !this.#removed?.has(name);
  }

  #touch(name: string, touched: Touched): void {
    (this.#touched ??= new Map()).set(name, touched);
  }

  #forget(name: string): void {
    this.#touched?.delete(name);
    if (this.#isStored(name)) (this.#removed ??= new Set()).add(name);
  }

  /** A text that nobody can read is no value: the session goes on without it. */
  #parse(text: string): unknown {
    try {
      return this.#serializer.parse(text);
    } catch {
      this.#onCorrupt();
      return undefined;
    }
  }

  /** The text as it was stored or set: what `changes()` did not find changed. */
  #knownText(name: string): string {
    return this.#touched?.get(name)?.text ?? this.#stored[name];
  }

  /** Whether an object became something else since its text; also when it cannot be written any more. */
  #hasChanged({ value, text }: Touched): boolean {
    if (typeof value !== 'object' || value === null) return false;
    try {
      const now = this.#serializer.stringify(value);
      return now !== text && !this.#meansTheSame(value, now, text);
    } catch {
      return true;
    }
  }

  /**
   * Whether two texts that differ stand for one value. A serializer may write the time, or a random nonce: then the text
   * tells nothing, and what it holds is compared.
   */
  #meansTheSame(value: object, now: string, before: string): boolean {
    const serializer = this.#serializer;
    if (serializer === jsonSerializer) return false;
    const was = serializer.parse(before);
    if (serializer.stringify(was) === now) return true;
    const isAnotherEachTime = serializer.stringify(value) !== now;
    return isAnotherEachTime && isDeepStrictEqual(serializer.parse(now), was);
  }

  /** The text to write. An object that did not change was checked when it was set, or came from the store. */
  #currentText(name: string, touched: Touched): string {
    if (!this.#hasChanged(touched)) return touched.text;
    checkJson(touched.value, name, this.#serializer);
    return this.#serializer.stringify(touched.value);
  }
}
