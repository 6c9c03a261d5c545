/** A client of node-redis (`createClient`, `createCluster`, `createSentinel`, `createClientPool`), as far as it is used here. */
export interface NodeRedisClient {
  readonly isOpen: boolean;
  sendCommand(...args: never[]): Promise<unknown>;
}

/** A client of ioredis (`Redis`, with sentinels or without, or `Cluster`), as far as it is used here. */
export interface IoRedisClient {
  readonly status: string;
  call(...args: never[]): Promise<unknown>;
}

/** A client that you made: node-redis or ioredis, of a single node, Sentinel or a cluster. */
export type RedisClient = NodeRedisClient | IoRedisClient;

/**
 * How a client is: `starting` has never been connected, so that waiting for it makes sense; `away` was, and what is sent
 * now would wait in the client's memory for nobody knows how long.
 */
export type ClientState = 'ready' | 'starting' | 'away' | 'closed';

/** Both packages' clients are event emitters. */
export function listenTo(client: unknown, listener: (error: unknown) => void): () => void {
  const { on, off } = Object(client) as Record<string, unknown>;
  if (typeof on !== 'function' || typeof off !== 'function') return () => undefined;
  on.call(client, 'error', listener);
  return () => void off.call(client, 'error', listener);
}

/** Sends one command to one server. */
export type Send = (command: readonly string[]) => Promise<unknown>;

/** What the store needs of a client; there is one for each package. */
export interface ClientAdapter {
  /** Keys lie on several servers, each command goes by its key, and a script has one. */
  readonly isCluster: boolean;
  /** What the client puts before the keys of commands by itself, but not before the pattern of a SCAN. */
  readonly keyPrefix: string;
  state(): ClientState;
  /** @param key routes the command in a cluster */
  send(key: string, command: readonly string[]): Promise<unknown>;
  /** One for each server that has keys. */
  masters(): Promise<Send[]>;
  /** The database that the client asks for and goes on without when it is refused, as ioredis does. */
  readonly database?: number;
  /** Drops the connection and makes it anew, where the client can: at the end of its name may be another server now. */
  reconnect?(): Promise<void>;
  /** Tells of each error of the client from now on. @returns ends it */
  listen(listener: (error: unknown) => void): () => void;
}
