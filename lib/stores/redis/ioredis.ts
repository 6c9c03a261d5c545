import { pause } from '../../core/pause.js';
import { SessionOptionsError } from '../../errors.js';
import {
  type ClientAdapter,
  type ClientState,
  type IoRedisClient,
  listenTo,
  type Send,
} from './redis-client.js';

type Single = IoRedisClient & {
  readonly options?: {
    readonly keyPrefix?: string;
    readonly db?: number;
    readonly retryStrategy?: unknown;
  };
  /** Sent, and not answered yet. No part of its documented interface. */
  readonly commandQueue?: { readonly length: number };
  connect(): Promise<unknown>;
  disconnect(reconnect: boolean): void;
  call(command: string, ...args: string[]): Promise<unknown>;
};

type Cluster = Single & {
  readonly options?: {
    readonly scaleReads?: unknown;
    readonly keyPrefix?: string;
    readonly redisOptions?: { readonly keyPrefix?: string };
  };
  nodes(role: 'master'): Single[];
};

/** So long answers that are under way are waited for when a connection is dropped. */
const ANSWERS_MS = 500;
const LOOK_AGAIN_MS = 5;

/** @throws SessionOptionsError when the client reads from replicas */
export function ioRedis(client: IoRedisClient): ClientAdapter {
  return 'nodes' in client ? cluster(client as Cluster) : single(client as Single);
}

function single(client: Single): ClientAdapter {
  const send = sendTo(client);
  return {
    isCluster: false,
    keyPrefix: client.options?.keyPrefix ?? '',
    state: stateOf(client),
    send: (_key, command) => send(command),
    masters: async () => [send],
    ...(client.options?.db && { database: client.options.db }),
    listen: (listener) => listenTo(client, listener),
    // Without a strategy it would stay away.
    ...(typeof client.options?.retryStrategy === 'function' && {
      reconnect: () => reconnect(client),
    }),
  };
}

function cluster(client: Cluster): ClientAdapter {
  const { scaleReads = 'master', keyPrefix, redisOptions } = client.options ?? {};
  if (scaleReads !== 'master') {
    throw new SessionOptionsError([
      "RedisSessionStore needs a Cluster with scaleReads: 'master', ioredis' default: a replica lags, and would show a session that has just ended. Make a client of its own for sessions.",
    ]);
  }
  const send = sendTo(client);
  return {
    isCluster: true,
    keyPrefix: keyPrefix ?? redisOptions?.keyPrefix ?? '',
    state: stateOf(client),
    send: (_key, command) => send(command), // it finds the key in the command
    masters: async () => client.nodes('master').map(sendTo),
    listen: (listener) => listenTo(client, listener),
  };
}

function sendTo(client: Single): Send {
  return ([name = '', ...args]) => client.call(name, ...args);
}

/**
 * Not before the answers to what is under way have come: a write whose answer is lost is not repeated. ioredis says that it
 * is ready until the connection has ended.
 */
async function reconnect(client: Single): Promise<void> {
  const until = async (isDone: () => boolean) => {
    const end = performance.now() + ANSWERS_MS;
    while (!isDone() && performance.now() < end) await pause(LOOK_AGAIN_MS);
  };
  await until(() => !client.commandQueue?.length);
  client.disconnect(true);
  await until(() => client.status !== 'ready');
}

function stateOf(client: Single): () => ClientState {
  let wasReady = false;
  return () => {
    switch (client.status) {
      case 'ready':
        wasReady = true;
        return 'ready';
      case 'end':
        return 'closed';
      case 'wait': // lazyConnect: the first who needs it connects it
        client.connect().catch(() => undefined); // whoever waits for it is told
        return 'starting';
      default:
        return wasReady ? 'away' : 'starting';
    }
  };
}
