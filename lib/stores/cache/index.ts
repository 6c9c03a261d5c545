export {
  CacheSessionStore,
  type CacheSessionStoreClass,
  type CacheSessionOptions,
  type CacheSessionStoreOptions,
} from './cache-session.store.js';
export {
  CachedSessionStore,
  type CachedSessionOptions,
  type CachedSessionStoreClass,
  type CachedSessionStoreOptions,
} from './cached-session.store.js';
