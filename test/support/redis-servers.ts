import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';

/** Valkey and other servers that speak as Redis does can be named here. */
const BINARY = process.env.REDIS_SERVER ?? 'redis-server';
const START_MS = 10_000;

/** A server of a test's own, on a port of its own, which keeps nothing when it stops. */
export class TestServer {
  #process: ChildProcess | undefined;
  #folder: string | undefined;

  private constructor(
    readonly port: number,
    readonly options: readonly string[],
    private readonly config = '',
  ) {}

  /** A sentinel that watches a master, by the name `main`, and needs nobody's consent. */
  static async startSentinel(master: TestServer): Promise<TestServer> {
    const config = [
      `sentinel monitor main 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 2000',
    ].join('\n');
    const sentinel = new TestServer(await freePort(), ['--sentinel'], config);
    await sentinel.start();
    return sentinel;
  }

  static async start(...options: string[]): Promise<TestServer> {
    const server = new TestServer(await freePort(), options);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.#folder ??= await mkdtemp(join(tmpdir(), 'nest-session-redis-'));
    const file = join(this.#folder, 'redis.conf'); // a sentinel writes what it learns into its own
    const own = [`port ${this.port}`, 'bind 127.0.0.1', `dir ${this.#folder}`];
    await writeFile(file, [...own, this.config || 'save ""', ''].join('\n'));
    this.#process = spawn(BINARY, [file, ...this.options], { stdio: 'ignore' });
    await until(async () => (await this.send('PING')) === 'PONG', `${BINARY} on port ${this.port} answers`);
  }

  /** At once, without a goodbye to its clients. */
  async stop(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (!process || process.exitCode !== null) return;
    const exited = once(process, 'exit');
    process.kill('SIGKILL');
    await exited;
  }

  /** It answers nobody, and closes no connection. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  async remove(): Promise<void> {
    await this.stop();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }

  /** Sends one command, on a connection of its own. */
  async send(...command: string[]): Promise<unknown> {
    const client = createClient({ url: this.url, socket: { reconnectStrategy: false } });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await client.sendCommand(command);
    } finally {
      client.destroy();
    }
  }

  /** What one part of INFO says, by name. */
  async info(part: string): Promise<Record<string, string>> {
    const text = (await this.send('INFO', part)) as string;
    return Object.fromEntries(text.split('\r\n').map((line) => line.split(/:(.*)/) as [string, string]));
  }
}

/** Three masters that share all slots. */
export class TestCluster {
  private constructor(readonly nodes: readonly TestServer[]) {}

  static async start(): Promise<TestCluster> {
    const start = async () => {
      const bus = await freePort();
      return TestServer.start(
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(bus),
        '--cluster-node-timeout',
        '5000',
      );
    };
    const cluster = new TestCluster(await Promise.all([start(), start(), start()]));
    try {
      await cluster.#join();
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
  }

  get ports(): number[] {
    return this.nodes.map(({ port }) => port);
  }

  async remove(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.remove()));
  }

  /** The node to which a slot belongs. */
  async ownerOf(slot: number): Promise<TestServer> {
    const ranges = (await this.nodes[0].send('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
    const port = ranges.find(([from, to]) => from <= slot && slot <= to)?.[2][1];
    return this.nodes.find((node) => node.port === port)!;
  }

  /** Moves a slot with its keys to another node, as an operator does who scales out. */
  async moveSlot(slot: number, target: TestServer): Promise<void> {
    const source = await this.ownerOf(slot);
    const [from, to] = await Promise.all(
      [source, target].map(async (node) => String(await node.send('CLUSTER', 'MYID'))),
    );
    await target.send('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', from);
    await source.send('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', to);
    for (;;) {
      const keys = (await source.send('CLUSTER', 'GETKEYSINSLOT', String(slot), '10')) as string[];
      if (keys.length === 0) break;
      await source.send('MIGRATE', '127.0.0.1', String(target.port), '', '0', '5000', 'KEYS', ...keys);
    }
    for (const node of [target, source, ...this.nodes])
      await node.send('CLUSTER', 'SETSLOT', String(slot), 'NODE', to);
  }

  async slotOf(key: string): Promise<number> {
    return Number(await this.nodes[0].send('CLUSTER', 'KEYSLOT', key));
  }

  async #join(): Promise<void> {
    const bounds = [0, 5461, 10923, 16384];
    for (const [index, node] of this.nodes.entries())
      await node.send('CLUSTER', 'ADDSLOTSRANGE', String(bounds[index]), String(bounds[index + 1] - 1));
    const [first, ...others] = this.nodes;
    for (const [index, node] of this.nodes.entries())
      await node.send('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    for (const node of others) {
      const bus = node.options.at(node.options.indexOf('--cluster-port') + 1)!;
      await first.send('CLUSTER', 'MEET', '127.0.0.1', String(node.port), bus);
    }
    const isWhole = async (node: TestServer) => {
      const info = (await node.send('CLUSTER', 'INFO')) as string;
      return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3');
    };
    await until(
      async () => (await Promise.all(this.nodes.map(isWhole))).every(Boolean),
      'the cluster is whole',
    );
  }
}

/** Sees the commands that a server gets; those that its scripts call are not among them. */
export class Monitor {
  readonly #seen: string[] = [];

  private constructor(
    private readonly server: TestServer,
    private readonly client: ReturnType<typeof createClient>,
  ) {}

  static async start(server: TestServer): Promise<Monitor> {
    const client = createClient({ url: server.url });
    await client.connect();
    const monitor = new Monitor(server, client);
    await client.monitor((line) => monitor.#seen.push(String(line)));
    return monitor;
  }

  /** What came since the last time. */
  async take(): Promise<string[]> {
    const mark = `mark ${Math.random()}`;
    await this.server.send('ECHO', mark);
    const isThere = async () => this.#seen.some((line) => line.includes(mark));
    await until(isThere, 'the monitor is up to date');
    const lines = this.#seen.splice(0);
    const handshake = /"(hello|client|ping|info|select|command)"/i; // connections that open meanwhile
    return lines.filter(
      (line) => !/ lua\]|\[\d+ lua/.test(line) && !/"ECHO"/i.test(line) && !handshake.test(line),
    );
  }

  async stop(): Promise<void> {
    this.client.destroy();
  }
}

/** Describes what starts servers, skipped where there is no program for it; with REQUIRE_SERVICES=1 that throws instead. */
export function describeWithServers(title: string, body: () => void): void {
  const isThere = spawnSync(BINARY, ['--version']).status === 0;
  const help = `No ${BINARY} on this machine's path: install it (apt-get install redis-server, brew install redis), or name it in REDIS_SERVER.`;
  if (!isThere && process.env.REQUIRE_SERVICES === '1') throw new Error(help);
  if (!isThere) process.stderr.write(`${help} Tests that start servers of their own are skipped.\n`);
  (isThere ? describe : describe.skip)(title, body);
}

/** Waits until something holds; what throws does not hold yet. */
export async function until(
  holds: () => Promise<boolean>,
  what: string,
  patienceMs = START_MS,
): Promise<void> {
  const end = performance.now() + patienceMs;
  for (;;) {
    if (await holds().catch(() => false)) return;
    if (performance.now() > end) throw new Error(`Waited in vain until ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
