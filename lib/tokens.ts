/**
 * Injection tokens that both builds of the package share: the command line or a test may hold the other build, whose
 * classes are other objects. The framework injects by these; users by the classes, which the tokens follow.
 */
export const SESSION_OPTIONS: unique symbol = Symbol.for('nest-session.SessionOptions') as never;
export const RESOLVED_SESSION_OPTIONS: unique symbol = Symbol.for(
  'nest-session.ResolvedSessionOptions',
) as never;
export const SESSION_STORE: unique symbol = Symbol.for('nest-session.SessionStore') as never;
export const SESSION_CLOCK: unique symbol = Symbol.for('nest-session.SessionClock') as never;
export const SESSION_COOKIE_CODEC: unique symbol = Symbol.for('nest-session.SessionCookieCodec') as never;
export const SESSIONS: unique symbol = Symbol.for('nest-session.Sessions') as never;
export const SESSION_USERS: unique symbol = Symbol.for('nest-session.SessionUsers') as never;
export const SESSION_ACCESS: unique symbol = Symbol.for('nest-session.SessionAccess') as never;
export const SESSION_USER_SOURCE: unique symbol = Symbol.for('nest-session.SessionUserSource') as never;
export const RESOLVED_AUTH_OPTIONS: unique symbol = Symbol.for('nest-session.ResolvedAuthOptions') as never;
