import type { Abstract, ModuleMetadata, Type } from '@nestjs/common';
import type { SessionClock } from '../../core/clock.js';
import type { RedisClient } from './redis-client.js';

/** Options of a store that you construct yourself. */
export interface RedisSessionOptions {
  /** ['session:'] What all keys begin with. Another one for each application that shares the server. */
  readonly prefix?: string;
  /** [the machine's] By which deadlines are judged. */
  readonly clock?: SessionClock;
}

/** A provider of the application, by its token. */
export type ClientToken = string | symbol | Type | Abstract<unknown>;

/** Options of a store that Nest makes: `url`, or `client`. */
export interface RedisSessionStoreOptions {
  /** `redis://user:password@host:6379/0`, or `rediss://` with TLS. The store connects, and closes. Needs `redis` or `ioredis`. */
  readonly url?: string;
  /** Your client, or the token of a provider of it. It stays yours to connect and to close. */
  readonly client?: RedisClient | ClientToken;
  /** Modules that export the provider of `client`. */
  readonly imports?: ModuleMetadata['imports'];
  /** ['session:'] What all keys begin with. */
  readonly prefix?: string;
}
