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
  tombstoneOf,
  type ValueTexts,
} from './core/record.js';
export { MemorySessionStore } from './stores/memory.store.js';
export {
  type AtomicResult,
  type DeleteExpiredOptions,
  type RenameOutcome,
  SessionStore,
  SessionStoreUnsupportedError,
  type StoredSession,
} from './stores/session-store.js';
export type { Duration } from './core/duration.js';
export type { ResolvedSessionOptions } from './core/resolve-options.js';
export { jsonSerializer, SESSION_SERIALIZER, type SessionSerializer } from './core/serializer.js';
export type { SessionData } from './core/session.js';
export {
  SessionFormatException,
  SessionHeadersSentError,
  SessionInterruptedException,
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
  type SessionEventListener,
  type SessionEventMap,
  type SessionEventName,
  SessionEvents,
} from './events/session-events.js';
export { SessionCookieCodec, type VerifiedId } from './http/cookie-codec.js';
export { Session } from './http/session.decorator.js';
export {
  SessionModule,
  type SessionModuleAsyncOptions,
  type SessionModuleOptions,
  type SessionOptionsFactory,
  type SessionStoreOption,
} from './session.module.js';
export type {
  SessionCookieOptions,
  SessionOptions,
  SessionStoreClass,
  SessionStoreProvider,
  SessionSweepOptions,
} from './session-options.js';
export { clearSessions, type ClearSessionsOptions } from './sweep/clear-sessions.js';
export { SESSION_OPTIONS } from './tokens.js';
