import { pause } from '../../core/pause.js';
import {
  type ClientAdapter,
  type ClientState,
  listenTo,
  type NodeRedisClient,
  type Send,
} from './redis-client.js';

interface Options {
  /** Replies as the server gives them, whatever the client's own mapping: maps as flat lists, texts as strings. */
  readonly typeMapping: object;
  readonly abortSignal?: AbortSignal;
}

type Single = NodeRedisClient & {
  readonly isReady?: boolean; // a pool has none
  connect(): Promise<unknown>;
  destroy(): void;
  sendCommand(command: readonly string[], options: Options): Promise<unknown>;
};

type Sentinel = NodeRedisClient & {
  readonly isReady: boolean;
  sendCommand(isReadOnly: boolean, command: readonly string[], options: Options): Promise<unknown>;
};

interface Master {
  readonly client?: Single;
}

type Cluster = NodeRedisClient & {
  readonly masters: readonly Master[];
  nodeClient(master: Master): Promise<Single>;
  sendCommand(
    key: string,
    isReadOnly: boolean,
    command: readonly string[],
    options: Options,
  ): Promise<unknown>;
};

/** RESP's own letters for the types, as node-redis numbers them. */
const [MAP, BLOB_STRING, SIMPLE_STRING, NUMBER] = ['%', '$', '+', ':'].map((letter) => letter.charCodeAt(0));
const OPTIONS: Options = {
  typeMapping: { [MAP]: Array, [BLOB_STRING]: String, [SIMPLE_STRING]: String, [NUMBER]: Number },
};

/** So long a command waits at most for a master of a cluster that is away while others are there. */
const WAIT_MS = 5_000;

/** So long answers that are under way are waited for before a connection is dropped. */
const ANSWERS_MS = 500;

export function nodeRedis(client: NodeRedisClient): ClientAdapter {
  if ('nodeClient' in client) return cluster(client as Cluster);
  if ('getMasterNode' in client) return sentinel(client as unknown as Sentinel);
  return single(client as Single);
}

function single(client: Single): ClientAdapter {
  const send: Send = (command) => client.sendCommand(command, OPTIONS);
  return {
    isCluster: false,
    keyPrefix: '', // some versions have one, but not for commands that are sent as they are
    masters: async () => [send],
    listen: (listener) => listenTo(client, listener),
    send: (_key, command) => send(command),
    ...(client.isReady === undefined
      ? { state: stateOf(client, () => true) }
      : reconnecting(client, () => client.isReady === true)),
  };
}

/** A client that is closed for a moment, because it is made anew, is not one that its owner has closed. */
function reconnecting(
  client: Single,
  isReady: () => boolean,
): Required<Pick<ClientAdapter, 'state' | 'reconnect'>> {
  const state = stateOf(client, isReady);
  let isBetween = false;
  return {
    state: () => (isBetween && !isReady() ? 'away' : state()),
    reconnect: async () => {
      isBetween = true;
      // Answers come in order: after this one nothing is under way. But a server that hangs gives none.
      const answered = client.sendCommand(['ping'], OPTIONS).catch(() => undefined);
      await Promise.race([answered, pause(ANSWERS_MS, { keepsAlive: false })]);
      if (client.isOpen) client.destroy();
      await client.connect().finally(() => (isBetween = false));
    },
  };
}

function sentinel(client: Sentinel): ClientAdapter {
  const send: Send = (command) => client.sendCommand(false, command, OPTIONS);
  return {
    isCluster: false,
    keyPrefix: '',
    state: stateOf(client, () => client.isReady),
    listen: (listener) => listenTo(client, listener),
    send: (_key, command) => send(command),
    masters: async () => [send],
  };
}

/** Reads go to masters too: a replica lags, and would show a session that has just ended. */
function cluster(client: Cluster): ClientAdapter {
  const isThere = ({ client: node }: Master) => node === undefined || node.isReady === true;
  const options = () =>
    client.masters.every(isThere) ? OPTIONS : { ...OPTIONS, abortSignal: AbortSignal.timeout(WAIT_MS) };
  return {
    isCluster: true,
    keyPrefix: '',
    state: stateOf(client, () => client.masters.some(isThere)),
    listen: (listener) => listenTo(client, listener),
    send: (key, command) => client.sendCommand(key, false, command, options()),
    masters: async () => {
      const nodes = await Promise.all(client.masters.map((master) => client.nodeClient(master)));
      return nodes.map(
        (node): Send =>
          (command) =>
            node.sendCommand(command, options()),
      );
    },
  };
}

function stateOf(client: NodeRedisClient, isReady: () => boolean): () => ClientState {
  let wasReady = false;
  return () => {
    if (!client.isOpen) return 'closed';
    if (isReady()) {
      wasReady = true;
      return 'ready';
    }
    return wasReady ? 'away' : 'starting';
  };
}
