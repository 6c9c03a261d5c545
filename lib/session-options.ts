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
  /**
   * [true] false: the cookie ends with the browser (Django's SESSION_EXPIRE_AT_BROWSER_CLOSE), unless `setExpiry` names a
   * time, or the login is one with `remember: true`.
   */
  persistent?: boolean;
}

/** What other sites' pages may make a visitor's browser do. Defaults in brackets. */
export interface SessionCsrfOptions {
  /** [none] Other origins whose pages may send what this one's may: `scheme://host[:port]`, as in the Origin header. */
  trustedOrigins?: readonly string[];
  /**
   * [false] Judges requests without a session cookie too, so that a stranger's page cannot log a visitor in as somebody
   * else. What other sites post on purpose (`form_post` callbacks) needs `@CsrfExempt()` then.
   */
  everyone?: boolean;
  /**
   * [false] A request that does not say where it comes from (very old browsers; programs) needs `session.csrfToken`, as
   * `_csrf` in its body or as the header `X-CSRF-Token`, if it carries a living session.
   */
  requireToken?: boolean;
}

/** How sessions that are over are cleared in the background. Defaults in brackets. */
export interface SessionSweepOptions {
  /** ['1h'] Between two sweeps, give or take a tenth; the first comes at a random moment within it. At most 20 days. */
  every?: Duration;
  /** [1000] At most so many sessions in one statement. */
  batchSize?: number;
  /** ['50ms'] Between two batches, so that visitors go first. */
  pause?: Duration;
}

/** Everything but the store: what `forRootAsync`'s factory returns. Durations are seconds, or `'30m'`, `'14d'`. */
export interface SessionOptions {
  /**
   * At least 32 characters. An array: the first signs, all verify, so that a secret can be replaced.
   *
   * The type takes undefined, so that `secret: process.env.SESSION_SECRET` compiles: the start tells when it is missing.
   */
  secret: string | readonly (string | undefined)[] | undefined;
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
  /**
   * [false] Browsers reach this application by HTTPS alone, whatever the platform calls a request: for TLS that ends at a
   * proxy or load balancer which sends no `X-Forwarded-Proto`. Cookies are Secure then.
   */
  alwaysHttps?: boolean;
  /** [false] Tells the way of each session as lines of the log, at Nest's debug level under the context `Session`. */
  debug?: boolean;
  cookie?: SessionCookieOptions;
  /**
   * [on, for stores whose sessions do not leave by themselves] Clears what is over in the background, in every process;
   * false: you call `clearSessions(app)`, or run `nest-session clear`.
   */
  sweep?: SessionSweepOptions | false;
  /** [JSON] Another text for each value (Django's SESSION_SERIALIZER); `accepts` takes Date, BigInt and other classes. */
  serializer?: SessionSerializer;
  /**
   * [false] Refuses requests that pages of other origins make a visitor's browser send: `true`, or an object for more. The
   * guard is global then; `@CsrfExempt()` takes a route out.
   */
  csrf?: boolean | SessionCsrfOptions;
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
