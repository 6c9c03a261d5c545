export { CsrfExempt } from './auth/csrf/csrf-exempt.decorator.js';
export { SessionCsrfGuard } from './auth/csrf/session-csrf.guard.js';
export { Authenticated, Public } from './auth/access.decorators.js';
export type { AuthenticatedOptions } from './auth/access-rule.js';
export type {
  MaxSessionsOptions,
  SessionAuthOptions,
  SessionUserProvider,
  SessionUsersOption,
} from './auth/auth-options.js';
export { CurrentUser } from './auth/current-user.decorator.js';
export type { LoginOptions, LogoutOptions, SessionOfRequest, UserSession } from './auth/login-options.js';
export { SessionAuth } from './auth/session-auth.js';
export { safeNext } from './auth/safe-next.js';
export { SessionGuard } from './auth/session.guard.js';
export { type EpochMs, SessionClock, SystemClock } from './core/clock.js';
export {
  applyChange,
  applyTouch,
  atomicChange,
  type Authentication,
  RECORD_FORMAT,
  type SessionChange,
  type SessionRecord,
  type SessionTouch,
  type Successor,
  tombstoneOf,
  type ValueTexts,
} from './core/record.js';
export { FileSessionStore, type FileSessionStoreOptions } from './stores/file/file-session.store.js';
export { MemorySessionStore } from './stores/memory.store.js';
export {
  type AtomicResult,
  type DeleteByUserOptions,
  type FindByUserOptions,
  type DeleteExpiredOptions,
  type RenameOutcome,
  SessionStore,
  SessionStoreUnsupportedError,
  type StoredSession,
} from './stores/session-store.js';
export type { Duration } from './core/duration.js';
export type { ResolvedSessionOptions } from './options/resolve-options.js';
export type { LoginMeta } from './core/login-values.js';
export { jsonSerializer, SESSION_SERIALIZER, type SessionSerializer } from './core/serializer.js';
export type { SessionData } from './core/session.js';
export { type NewSessionOptions, type SessionCookieOfOptions, Sessions } from './detached/sessions.js';
export {
  SessionCsrfException,
  LevelRequiredException,
  NotAuthenticatedException,
  ReauthenticationRequiredException,
  SecondFactorRequiredException,
  SessionExpiredException,
  SessionFormatException,
  SessionHeadersSentError,
  SessionInterruptedException,
  SessionLimitException,
  SessionNotFoundException,
  SessionNotLoadedError,
  SessionOptionsError,
  SessionRotatedException,
  SessionStoreException,
  SessionStoreTimeoutError,
  SessionTooLargeError,
  SessionUsageError,
  SessionValueError,
  type StoreOperation,
} from './errors.js';
export {
  type EndReason,
  type RejectReason,
  type SessionEvent,
  type SessionEventListener,
  type SessionEventMap,
  type SessionEventName,
  SessionEvents,
} from './events/session-events.js';
export { type SessionHealth, SessionHealthIndicator } from './health/session-health.indicator.js';
export { SessionCookieCodec, type VerifiedId } from './http/cookie-codec.js';
export { Passive } from './http/passive.decorator.js';
export { Session } from './http/session.decorator.js';
export type { WithSession } from './http/with-session.js';
export {
  SessionModule,
  type SessionModuleAsyncOptions,
  type SessionModuleOptions,
  type SessionOptionsFactory,
  type SessionStoreOption,
} from './session.module.js';
export type {
  SessionCookieOptions,
  SessionCsrfOptions,
  SessionOptions,
  SessionStoreClass,
  SessionStoreProvider,
  SessionSweepOptions,
} from './session-options.js';
export { clearSessions, type ClearSessionsOptions } from './sweep/clear-sessions.js';
export { SESSION_OPTIONS } from './tokens.js';
