export type { IoRedisClient, NodeRedisClient, RedisClient } from './redis-client.js';
export type { ClientToken, RedisSessionOptions, RedisSessionStoreOptions } from './redis-options.js';
export { RedisSessionStore, type RedisSessionStoreClass } from './redis-session.store.js';
