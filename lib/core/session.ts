import { inspect } from 'node:util';
import { SessionNotLoadedError, SessionUsageError } from '../errors.js';
import type { Duration } from './duration.js';
import type { SessionState } from './session-state.js';
import { isReserved } from './session-values.js';

/**
 * The types of your values. Declare them once:
 *
 * @example
 * declare module 'nest-session' {
 *   interface SessionData { cart: Cart; views: number }
 * }
 */

export interface SessionData {}

/** Names of values: those that `T` declares, any when it declares none. */
export type SessionKey<T> = [keyof T] extends [never] ? string : Extract<keyof T, string>;
export type SessionValue<T, K> = K extends keyof T ? T[K] : unknown;

/**
 * The data of one visitor, kept across requests behind one cookie. Got by `@Session()` in a controller, or as
 * `request.session` (await `load()` first).
 *
 * Nothing is written before the response begins: then all that was set, removed or changed inside a value is saved in
 * one step, and the response leaves after the store's acknowledgement. Unknown properties cannot be assigned: use
 * `set`, or `data`.
 */
export interface Session<T extends object = SessionData> {
  /** Loads the session, once a request; the answer depends on the visitor's cookie from then on (`Vary`). */
  load(): Promise<this>;

  /** The value, or undefined. What is changed inside an object is saved; nothing has to be marked. */
  get<K extends SessionKey<T>>(key: K): SessionValue<T, K> | undefined;
  /**
   * Sets a JSON value, or what the module's `serializer` accepts; undefined removes it. Other class instances are kept as
   * plain copies.
   *
   * @throws SessionValueError which names the path of what JSON cannot hold (`cart.items[2].when is a Date: …`)
   */
  set<K extends SessionKey<T>>(key: K, value: SessionValue<T, K>): this;
  has(key: SessionKey<T>): boolean;
  /** @returns whether there was such a value */
  delete(key: SessionKey<T>): boolean;
  /** Removes the value and returns it; `fallback` where there is none. */
  pop<K extends SessionKey<T>>(key: K, fallback?: SessionValue<T, K>): SessionValue<T, K> | undefined;
  /** The value, set to `value` where there is none. */
  setDefault<K extends SessionKey<T>>(key: K, value: SessionValue<T, K>): SessionValue<T, K>;
  /** Sets several values. */
  update(values: Partial<T>): this;
  /** Removes all values; id and deadlines stay. */
  clear(): void;
  keys(): IterableIterator<SessionKey<T>>;
  values(): IterableIterator<unknown>;
  entries(): IterableIterator<[SessionKey<T>, unknown]>;
  [Symbol.iterator](): IterableIterator<[SessionKey<T>, unknown]>;
  /** How many values there are. */
  readonly size: number;
  /** The same values as a plain object: `session.data.cart.push(tea)`, `delete session.data.coupon`. */
  readonly data: [keyof T] extends [never] ? Record<string, unknown> : Partial<T>;

  /**
   * Reads one value, lets `change` compute its successor and writes it now, with nothing in between: for counters and
   * stock, where two requests at once must both count. Not undone by a later error.
   *
   * @param change gets the value as it is stored (undefined: none), returns the new one (undefined: removes it);
   * synchronous; called again when a parallel request was faster
   * @returns the new value
   */
  atomic<K extends SessionKey<T>>(
    key: K,
    change: (value: SessionValue<T, K> | undefined) => SessionValue<T, K> | undefined,
  ): Promise<SessionValue<T, K> | undefined>;

  /**
   * Keeps a value until it is taken, typically by the page after a redirect, behind those that were flashed under this
   * key before. Not shown by `keys()` and `data`.
   *
   * @throws SessionUsageError without a value, which is how others take what was flashed: that is `takeFlash`
   * @throws SessionValueError when JSON cannot hold the value
   */
  flash(key: string, value: unknown): this;
  /** Takes all that was flashed under this key, in order; none, and so at the next call: an empty array. */
  takeFlash<V = unknown>(key: string): V[];

  /**
   * No session of this visitor is stored yet. Before the load it is known, and true, for who brought no cookie of ours.
   *
   * @throws SessionNotLoadedError before the load, when a cookie of ours came
   */
  readonly isNew: boolean;
  /** There are no values. Before the load as `isNew`. */
  readonly isEmpty: boolean;
  /** This request asked for something in the session; before the load: false. */
  readonly accessed: boolean;
  /** There is something to be written; before the load: false. */
  readonly modified: boolean;
  /** The browser has sent the session's cookie back, so that it keeps cookies (Django's test cookie). */
  readonly isConfirmed: boolean;
  /** The public name, for lists and logs: kept over cycles, new after a flush; it selects no session by itself. */
  readonly handle: string;
  /**
   * A token for forms (`_csrf`) and scripts (`X-CSRF-Token`), which `csrf: { requireToken: true }` asks for where a browser
   * does not say where a request comes from. Another text each time, all good until the next login or flush. Reading it
   * stores nothing: a visitor without a stored session has nothing to protect, and needs no token.
   */
  readonly csrfToken: string;
  readonly createdAt: Date;
  /** When the session was last written or touched, before this request. */
  readonly lastSeenAt: Date;
  /**
   * Whose login this session holds; undefined for an anonymous visitor, and while a second factor is outstanding. What the
   * session knows: whether the user still exists and may come in, `SessionAuth.user()` and the guard ask.
   */
  readonly userId: string | undefined;
  /** When the user last proved who they are. */
  readonly authenticatedAt: Date | undefined;

  /**
   * How long this session lives from now on.
   *
   * @param expiry a number of seconds or `'30m'`: an idle timeout of its own · a Date: a fixed end (a past one ends the
   * session at the response) · `'browser'` or 0: until the browser closes, on the server the module's idle timeout ·
   * undefined: as the module says. The absolute timeout holds in any case.
   */
  setExpiry(expiry: Duration | Date | 'browser' | undefined): void;
  /** When the session ends if nobody comes back. */
  readonly expiresAt: Date;
  /** When it ends however often it is used; only a new authentication moves this. */
  readonly absoluteExpiresAt: Date;
  /** Seconds until `expiresAt`. */
  readonly expiryAge: number;
  readonly expiresAtBrowserClose: boolean;

  /** A new id for the same data, at the response. The old one is worth nothing from then on. */
  cycleId(): void;
  /** Deletes the session now, whatever becomes of the request, and goes on as a new anonymous one. */
  flush(): Promise<void>;
  /**
   * Saves now and not at the end; a later error does not undo it. Needed for changes after the response has begun. A new
   * visitor has a session from then on, also without a value (Django's `create()`): `handle` stays theirs.
   *
   * @throws SessionInterruptedException (409) when the session ended meanwhile; SessionStoreException (503) when the
   * store failed; SessionHeadersSentError when it is too late to send the cookie that this needs
   */
  save(): Promise<void>;
}

/** What a session asks of the request that it belongs to. */
export interface SessionLifecycle {
  /** Undefined until it is loaded. */
  readonly state: SessionState | undefined;
  /** The request brought no cookie of ours, so that there is nothing to load; asks no store. */
  readonly hasNothingToLoad: boolean;
  load(): Promise<void> | undefined;
  save(): Promise<void>;
  flush(): Promise<unknown>;
  atomic(name: string, change: (value: unknown) => unknown): Promise<unknown>;
  /** A token against cross-site requests, for what `SessionState.csrfBinding` names. */
  csrfToken(binding: string): string;
  /** The expiry that was asked for lies beyond the absolute deadline. */
  beyondAbsolute(): void;
}

/** Whether a session can be used without waiting; does not count as asking for it. */
export let isLoaded: (session: object) => boolean;

/** The request behind a session of this build of the package. */
export let lifecycleOf: (session: object) => SessionLifecycle | undefined;

/** Values of any name: what users' types say of them is the compiler's matter alone. */
type Values = Record<string, unknown>;
type Value<K extends string> = SessionValue<Values, K>;

/** What stands for the methods of express-session, whose callers would wait for a callback that nobody calls. */
const FOREIGN_METHODS: Readonly<Record<string, string>> = {
  regenerate: 'session.cycleId() for a new id with the same data, or await session.flush() to begin anew',
  destroy: 'await session.flush(), or await auth.logout(session)',
  reload: 'nothing: a request loads its session once',
  touch: 'nothing: a session that is used stays alive by itself',
  resetMaxAge: 'session.setExpiry(…)',
};

/** What stands for its properties. */
const FOREIGN_PROPERTIES: Readonly<Record<string, string>> = {
  cookie: "session.setExpiry(…) for the lifetime, and the module's option cookie for the rest",
  id: 'session.handle, the public name: the id is a secret',
  sessionID: 'session.handle, the public name: the id is a secret',
};

/** What stands for an assignment to a property of ours that is no value. */
const INSTEAD_OF_ASSIGNING: Readonly<Record<string, string>> = {
  ...FOREIGN_PROPERTIES,
  modified: 'nothing: changes are seen by themselves, also those inside a value',
  userId: 'await auth.login(session, user) with SessionAuth, or another name for a value of your own',
  expiresAt: 'session.setExpiry(…)',
  expiryAge: 'session.setExpiry(…)',
  expiresAtBrowserClose: "session.setExpiry('browser')",
};

/** The session as users hold it: sealed, and silent about what it holds. */
export class SessionView implements Session<Values> {
  readonly #lifecycle: SessionLifecycle;
  #data: Record<string, unknown> | undefined;

  constructor(lifecycle: SessionLifecycle) {
    this.#lifecycle = lifecycle;
    Object.preventExtensions(this);
  }

  load(...callback: unknown[]): Promise<this> {
    refuseCallback('load', callback[0]);
    return this.#load();
  }

  async #load(): Promise<this> {
    await this.#lifecycle.load();
    return this;
  }

  get<K extends string>(key: K): Value<K> | undefined {
    const { values } = this.#state;
    return isReserved(key) ? undefined : (values.get(key) as Value<K>);
  }

  set(key: string, value: unknown): this {
    this.#state.values.set(ownName(key), value);
    return this;
  }

  has(key: string): boolean {
    return !isReserved(key) && this.#state.values.has(key);
  }

  delete(key: string): boolean {
    return this.#state.values.delete(ownName(key));
  }

  pop<K extends string>(key: K, fallback?: Value<K>): Value<K> | undefined {
    const value = this.get(key);
    if (value === undefined) return fallback; // not there, or unreadable
    this.delete(key);
    return value;
  }

  setDefault<K extends string>(key: K, value: Value<K>): Value<K> {
    if (this.get(key) === undefined) this.set(key, value);
    return this.get(key) as Value<K>;
  }

  update(values: Record<string, unknown>): this {
    for (const key of Object.keys(values)) this.set(key, values[key]);
    return this;
  }

  clear(): void {
    this.#state.values.clear();
  }

  // Names are taken at the call, so that a loop may set and delete.
  keys(): IterableIterator<string> {
    return this.#names().values();
  }

  values(): IterableIterator<unknown> {
    return this.#names()
      .map((name) => this.get(name))
      .values();
  }

  entries(): IterableIterator<[string, unknown]> {
    return this.#names()
      .map((name): [string, unknown] => [name, this.get(name)])
      .values();
  }

  [Symbol.iterator](): IterableIterator<[string, unknown]> {
    return this.entries();
  }

  get size(): number {
    return this.#names().length;
  }

  get data(): Record<string, unknown> {
    void this.#state; // asked for, and an error before the load
    return (this.#data ??= new Proxy({ __proto__: null }, dataHandler(this)));
  }

  async atomic<K extends string>(
    key: K,
    change: (value: Value<K> | undefined) => Value<K> | undefined,
  ): Promise<Value<K> | undefined> {
    void this.#state;
    return this.#lifecycle.atomic(ownName(key), change as (value: unknown) => unknown) as Promise<Value<K>>;
  }

  flash(key: string, value: unknown): this {
    if (value === undefined)
      throw new SessionUsageError(
        'session.flash(key, value) keeps a value, and got none. To take what was flashed: session.takeFlash(key).',
      );
    this.#state.flash(key, value);
    return this;
  }

  takeFlash<V>(key: string): V[] {
    return this.#state.takeFlash(key) as V[];
  }

  get isNew(): boolean {
    return this.#isCertainlyNew || this.#state.isNew;
  }

  get isEmpty(): boolean {
    return this.#isCertainlyNew || this.#state.values.isEmpty;
  }

  get accessed(): boolean {
    return (this.#lifecycle.state?.uses ?? 0) > 0;
  }

  get modified(): boolean {
    return this.#lifecycle.state !== undefined && this.#state.isModified;
  }

  get isConfirmed(): boolean {
    return this.#state.isConfirmed;
  }

  get handle(): string {
    return this.#state.handle;
  }

  get csrfToken(): string {
    return this.#lifecycle.csrfToken(this.#state.csrfBinding);
  }

  get createdAt(): Date {
    return new Date(this.#state.createdAt);
  }

  get lastSeenAt(): Date {
    return new Date(this.#state.lastSeenAt);
  }

  get userId(): string | undefined {
    return this.#state.userId;
  }

  get authenticatedAt(): Date | undefined {
    const { auth } = this.#state;
    return auth && new Date(auth.at);
  }

  setExpiry(expiry: Duration | Date | 'browser' | undefined): void {
    const { isBeyondAbsolute } = this.#state.setExpiry(expiry);
    if (isBeyondAbsolute) this.#lifecycle.beyondAbsolute();
  }

  get expiresAt(): Date {
    return new Date(this.#state.expiresAt);
  }

  get absoluteExpiresAt(): Date {
    return new Date(this.#state.absoluteExpiresAt);
  }

  get expiryAge(): number {
    return this.#state.expiryAge;
  }

  get expiresAtBrowserClose(): boolean {
    return this.#state.expiresAtBrowserClose;
  }

  cycleId(): void {
    this.#state.cycleId();
  }

  // Callbacks are refused at the call: a rejection that nobody awaits would end the process.
  flush(...callback: unknown[]): Promise<void> {
    refuseCallback('flush', callback[0]);
    return this.#flush();
  }

  async #flush(): Promise<void> {
    void this.#state;
    await this.#lifecycle.flush();
  }

  save(...callback: unknown[]): Promise<void> {
    refuseCallback('save', callback[0]);
    return this.#save();
  }

  async #save(): Promise<void> {
    this.#state.wantIdentity();
    await this.#lifecycle.save();
  }

  /** What a log of the request, or a careless `return session`, may show. */
  toJSON(): object {
    return this.#lifecycle.state ? { handle: this.#lifecycle.state.handle } : {};
  }

  [inspect.custom](): string {
    const { state } = this.#lifecycle;
    return state ? `Session { handle: '${state.handle}', isNew: ${state.isNew} }` : 'Session { not loaded }';
  }

  #names(): string[] {
    return [...this.#state.values.names()].filter((name) => !isReserved(name));
  }

  /** Not loaded, and known to be new without it. */
  get #isCertainlyNew(): boolean {
    return this.#lifecycle.state === undefined && this.#lifecycle.hasNothingToLoad;
  }

  get #state(): SessionState {
    const { state } = this.#lifecycle;
    if (!state) throw new SessionNotLoadedError();
    state.uses++;
    return state;
  }

  static {
    refuseForeignAssignments(SessionView.prototype);
    isLoaded = (session) => #lifecycle in session && session.#lifecycle.state !== undefined;
    lifecycleOf = (session) => (#lifecycle in session ? session.#lifecycle : undefined);
  }
}

function ownName(key: string): string {
  if (typeof key !== 'string') throw new SessionUsageError(`A value's name is a string, not ${typeof key}.`);
  if (isReserved(key))
    throw new SessionUsageError(`Names that begin with "_nest." belong to nest-session: ${key}`);
  return key;
}

/** `session.data`: reads and writes go to the session; objects inside are the session's own, so changes are seen. */
function dataHandler(session: SessionView): ProxyHandler<Record<string, unknown>> {
  return {
    get: (_, key) => (typeof key === 'string' ? session.get(key) : undefined),
    set: (_, key, value) => {
      session.set(key as string, value);
      return true;
    },
    defineProperty: (_, key, descriptor) => {
      if (!('value' in descriptor)) return false;
      session.set(key as string, descriptor.value);
      return true;
    },
    preventExtensions: () => false,
    setPrototypeOf: () => false,
    has: (_, key) => typeof key === 'string' && session.has(key),
    deleteProperty: (_, key) => {
      if (typeof key === 'string') session.delete(key);
      return true;
    },
    ownKeys: () => [...session.keys()],
    getOwnPropertyDescriptor: (_, key) => {
      if (typeof key !== 'string' || !session.has(key)) return undefined;
      return { value: session.get(key), writable: true, enumerable: true, configurable: true };
    },
  };
}

function refuseCallback(method: string, callback: unknown): void {
  if (typeof callback !== 'function') return;
  throw new SessionUsageError(`session.${method}() takes no callback: write await session.${method}().`);
}

/**
 * Makes `session.cart = …` throw and name what to write instead. The habit comes from express-session, where it
 * stores a value; here it would vanish silently. A proxy at the end of the prototype chain is asked for unknown names
 * only, so that everything else costs nothing.
 *
 * The methods are shared by the sessions of all visitors: they are frozen, for what somebody leaves on one of them
 * (connect-flash leaves its messages on a function that it finds) would be the next visitor's to read.
 */
function refuseForeignAssignments(prototype: object): void {
  for (const key of Reflect.ownKeys(prototype)) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, key) as PropertyDescriptor;
    const method: unknown = descriptor.value;
    const get = descriptor.get ?? (() => method);
    Object.freeze(method);
    Object.freeze(get);
    const set = Object.freeze(() => refuseAssignment(key));
    Object.defineProperty(prototype, key, { get, set, enumerable: false, configurable: false });
  }
  const foreignMethods = foreignMethodsThatThrow();
  const base: object = Object.create(Object.prototype) as object;
  const handler: ProxyHandler<object> = {
    get: (target, key, receiver) => {
      if (typeof key === 'string' && Object.hasOwn(FOREIGN_PROPERTIES, key))
        throw new SessionUsageError(`There is no session.${key} here: write ${FOREIGN_PROPERTIES[key]}.`);
      return foreignMethods.get(key) ?? (Reflect.get(target, key, receiver) as unknown);
    },
    set: (_, key) => refuseAssignment(key),
    defineProperty: (_, key) => refuseAssignment(key),
    setPrototypeOf: () => false,
  };
  Object.setPrototypeOf(prototype, new Proxy(base, handler));
  Object.freeze(prototype);
}

function foreignMethodsThatThrow(): ReadonlyMap<PropertyKey, () => never> {
  const methods = Object.entries(FOREIGN_METHODS).map(([name, instead]): [string, () => never] => {
    const refuse = (): never => {
      throw new SessionUsageError(`There is no session.${name}() here: write ${instead}.`);
    };
    return [name, Object.freeze(refuse)];
  });
  return new Map(methods);
}

function refuseAssignment(key: PropertyKey): never {
  const name = String(key);
  const hint = Object.hasOwn(INSTEAD_OF_ASSIGNING, name)
    ? ` Instead of it: ${INSTEAD_OF_ASSIGNING[name]}.`
    : '';
  throw new SessionUsageError(
    `session.${name} can't be assigned: write session.set('${name}', value) or session.data.${name} = value.${hint}`,
  );
}
