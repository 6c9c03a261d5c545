export { type EpochMs, SessionClock, SystemClock } from './core/clock.js';
export {
  applyChange,
  applyTouch,
  atomicChange,
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
