import { SessionOptionsError } from '../../errors.js';
import type { ClientAdapter, ClientState, IoRedisClient, Send } from './redis-client.js';

type Single = IoRedisClient & {
  readonly options?: { readonly keyPrefix?: string };
  connect(): Promise<unknown>;
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
  };
}

function sendTo(client: Single): Send {
  return ([name = '', ...args]) => client.call(name, ...args);
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
