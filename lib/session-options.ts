import type { ModuleMetadata, Type } from '@nestjs/common';
import type { Duration } from './core/duration.js';
import type { SessionSerializer } from './core/serializer.js';
import type { SessionStore } from './stores/session-store.js';

/** The session cookie. Defaults in brackets. */
export interface SessionCookieOptions {
  /**
   * [`sessionid`; on HTTPS `__Host-sessionid`, with a domain or another path `__Secure-sessionid`] A name that you give
   * is taken as it is.
   */
  name?: string;
  /** ['/'] */
  path?: string;
  /** [none: the cookie goes to this host alone] */
  domain?: string;
  /** ['auto'] `auto` follows the request: `req.secure` or `req.protocol`, and so the platform's trust proxy. */
  secure?: boolean | 'auto';
  /** ['lax'] */
  sameSite?: 'lax' | 'strict' | 'none';
  /** [true] */
  httpOnly?: boolean;
  /** [false] A cookie of its own for each top-level site (CHIPS); needs `secure: true`. */
  partitioned?: boolean;
  /** [none] Which cookies Chrome drops last. */
  priority?: 'low' | 'medium' | 'high';
  /** [true] false: the cookie ends with the browser (Django's SESSION_EXPIRE_AT_BROWSER_CLOSE). */
  persistent?: boolean;
}

/** Everything but the store: what `forRootAsync`'s factory returns. Durations are seconds, or `'30m'`, `'14d'`. */
export interface SessionOptions {
  /** At least 32 characters. An array: the first signs, all verify, so that a secret can be replaced. */
  secret: string | readonly string[];
  /** ['14d'] A session ends when nobody used it for so long. Adapts to a shorter `absoluteTimeout`. */
  idleTimeout?: Duration;
  /** ['30d'] A session ends so long after its start, whatever happens. Adapts to a longer `idleTimeout`. */
  absoluteTimeout?: Duration;
  /** [a tenth of the idle timeout, at most 5m] A request that only reads moves the idle deadline at most so often. */
  touchEvery?: Duration;
  /**
   * [false] Each request that used its session writes its deadline and sends the cookie anew (Django's
   * SESSION_SAVE_EVERY_REQUEST). One write for each read, and answers that overlap can move each other's cookie.
   */
  saveEveryRequest?: boolean;
  /** [none] A session ends so long after its start if its cookie never came back: bots leave no rows for weeks. */
  unconfirmedTimeout?: Duration;
  /** ['30s'] How long an old id is known as such after a cycle, a flush or a logout. */
  rotationGrace?: Duration;
  /** ['5s'] How long one command of the store may take. */
  storeTimeout?: Duration;
  /** [262144] Bytes of all names and values of a session together. */
  maxSize?: number;
  /** ['lazy'] `eager` loads in a middleware, before guards and Passport, for requests that carry a valid cookie. */
  load?: 'lazy' | 'eager';
  cookie?: SessionCookieOptions;
  /** [JSON] Another text for each value (Django's SESSION_SERIALIZER). */
  serializer?: SessionSerializer;
}

/** A store class. It may bring what it injects: modules that the session module imports with it. */
export interface SessionStoreClass extends Type<SessionStore> {
  sessionImports?(): NonNullable<ModuleMetadata['imports']>;
}

/** A store as a Nest provider, without `provide`. Prefer `useClass`: an overridden store is not even constructed. */
export type SessionStoreProvider = { imports?: ModuleMetadata['imports'] } & (
  | { useClass: SessionStoreClass }
  | { useExisting: unknown }
  | { useValue: SessionStore }
  | { useFactory: (...args: never[]) => SessionStore | Promise<SessionStore>; inject?: unknown[] }
);
