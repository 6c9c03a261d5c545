import { Cluster as IoCluster5, Redis as IoRedis5 } from 'ioredis';
import { Cluster as IoCluster6, Redis as IoRedis6 } from 'ioredis-6';
import type { RedisClient } from 'nest-session/redis';
import { createClient as createClient5, createCluster as createCluster5 } from 'redis';
import { createClient as createClient6, createCluster as createCluster6 } from 'redis-6';
import { until } from './redis-servers.js';

/** A connected client, as an application makes it, and how to close it. */
export interface TestClient {
  readonly client: RedisClient;
  /** Sends a command as it is, to whichever server. */
  send(...command: string[]): Promise<unknown>;
  close(): Promise<void>;
}

/** A package and its major version. */
export interface ClientKind {
  readonly name: string;
  connect(url: string): Promise<TestClient>;
  connectCluster(ports: readonly number[]): Promise<TestClient>;
}

const nodeRedis = (
  name: string,
  createClient: typeof createClient5,
  createCluster: typeof createCluster5,
): ClientKind => ({
  name,
  connect: async (url) => {
    const client = createClient({ url });
    client.on('error', () => undefined);
    await client.connect();
    return {
      client,
      send: (...command) => client.sendCommand(command),
      close: async () => (client.isOpen ? client.destroy() : undefined),
    };
  },
  connectCluster: async (ports) => {
    const cluster = createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) });
    cluster.on('error', () => undefined);
    await cluster.connect();
    return {
      client: cluster,
      send: (...command) => cluster.sendCommand(command[1], false, command),
      close: async () => (cluster.isOpen ? cluster.destroy() : undefined),
    };
  },
});

const ioRedis = (name: string, Redis: typeof IoRedis5, Cluster: typeof IoCluster5): ClientKind => ({
  name,
  connect: async (url) => {
    const client = new Redis(url, { lazyConnect: true });
    client.on('error', () => undefined);
    await client.connect();
    return {
      client,
      send: (command, ...args) => client.call(command, ...args),
      close: () => disconnect(client),
    };
  },
  connectCluster: async (ports) => {
    const cluster = new Cluster(
      ports.map((port) => ({ host: '127.0.0.1', port })),
      { lazyConnect: true },
    );
    cluster.on('error', () => undefined);
    await cluster.connect();
    return {
      client: cluster,
      send: (command, ...args) => cluster.call(command, ...args),
      close: () => disconnect(cluster),
    };
  },
});

/** Waits until it is over, for ioredis keeps a timer until then. */
async function disconnect(client: IoRedis5 | IoCluster5): Promise<void> {
  const isOver = async () => client.status === 'end' || client.status === 'close';
  client.disconnect();
  await until(isOver, 'ioredis is disconnected', 5_000);
}

export const nodeRedis5 = nodeRedis('node-redis 5', createClient5, createCluster5);
export const nodeRedis6 = nodeRedis('node-redis 6', createClient6 as never, createCluster6 as never);
export const ioRedis5 = ioRedis('ioredis 5', IoRedis5, IoCluster5);
export const ioRedis6 = ioRedis('ioredis 6', IoRedis6 as never, IoCluster6 as never);

/** All that the store is made for. */
export const clientKinds: readonly ClientKind[] = [nodeRedis5, nodeRedis6, ioRedis5, ioRedis6];

/** Connections that tests share, until one closes them to see what happens. */
export class Connections {
  #open: (TestClient | undefined)[] = [];

  constructor(private readonly connect: () => Promise<TestClient>) {}

  async get(index: number): Promise<RedisClient> {
    return (this.#open[index] ??= await this.connect()).client;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map(async (each) => each?.close()));
  }
}
