import { SessionOptionsError } from '../../errors.js';
import { withoutSecrets } from '../../redacted-error.js';
import { ioRedis } from './ioredis.js';
import { nodeRedis } from './node-redis.js';
import type { ClientAdapter, RedisClient, Send } from './redis-client.js';
import { type OpenConnection, openConnection } from './redis-connection.js';
import type { Script } from './script.js';

/** So long the first commands wait for a client that has never been connected. */
const START_MS = 5_000;
const LOOK_AGAIN_MS = 10;

/**
 * The store's way to Redis: commands and scripts, never queued for a server that is away, and errors that hold neither
 * keys nor values (clients put whole commands into theirs).
 */
export class RedisLink {
  readonly #url: string | undefined;
  #adapter: ClientAdapter | undefined;
  #opening: Promise<OpenConnection> | undefined;
  #starting: Promise<void> | undefined;
  #isClosed = false;

  /** @throws SessionOptionsError when it is neither a client nor a URL */
  constructor(source: string | RedisClient) {
    if (typeof source === 'string') this.#url = checkUrl(source);
    else this.#adapter = adapterOf(source);
  }

  /** Connects, or waits for a client that is just connecting. */
  async start(): Promise<ClientAdapter> {
    if (this.#isClosed) throw new Error('The session store is closed.');
    const adapter = (this.#adapter ??= await this.#open());
    if (adapter.state() !== 'ready') await this.#untilReady(adapter);
    return adapter;
  }

  /** Sends a command that has no script; `key` routes it in a cluster. */
  async ask(key: string, ...command: string[]): Promise<unknown> {
    const adapter = this.#ready ?? (await this.start());
    return adapter.send(key, command).catch(rethrow);
  }

  /** Runs a script by its name; a server that does not know it (restarted, failed over, flushed) gets the text. */
  async run(script: Script, keys: readonly [string, ...string[]], args: readonly string[]): Promise<unknown> {
    const adapter = this.#ready ?? (await this.start());
    const [first] = keys;
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await adapter.send(first, ['evalsha', script.sha, ...rest]);
    } catch (error) {
      if (!isUnknownScript(error)) rethrow(error);
      return adapter.send(first, ['eval', script.lua, ...rest]).catch(rethrow);
    }
  }

  get isReady(): boolean {
    return this.#adapter?.state() === 'ready';
  }

  /** Whether keys lie on several servers. Known when it is connected. */
  get isCluster(): boolean {
    return this.#adapter?.isCluster ?? false;
  }

  /** What the client puts before the keys of commands by itself, but not before what scripts are told. */
  get keyPrefix(): string {
    return this.#adapter?.keyPrefix ?? '';
  }

  /** Asks every server for a sign of life. */
  async ping(): Promise<void> {
    const masters = await (await this.start()).masters().catch(rethrow);
    await Promise.all(masters.map((send) => send(['ping']))).catch(rethrow);
  }

  /** The keys of hashes that begin with `prefix`, some at a time; a key may come more than once, as SCAN may tell it. */
  async *keys(prefix: string): AsyncGenerator<string[]> {
    const adapter = await this.start();
    const pattern = `${escapeGlob(adapter.keyPrefix + prefix)}*`;
    for (const send of await adapter.masters().catch(rethrow)) {
      for await (const keys of scan(send, pattern))
        yield keys.map((key) => key.slice(adapter.keyPrefix.length));
    }
  }

  /** Closes what was opened here. */
  async close(): Promise<void> {
    if (this.#url === undefined || this.#isClosed) return;
    this.#isClosed = true;
    this.#adapter = undefined;
    const connection = await this.#opening?.catch(() => undefined);
    await connection?.close();
  }

  get #ready(): ClientAdapter | undefined {
    return this.isReady ? this.#adapter : undefined;
  }

  async #open(): Promise<ClientAdapter> {
    this.#opening ??= openConnection(this.#url ?? '');
    try {
      return adapterOf((await this.#opening).client);
    } catch (error) {
      this.#opening = undefined; // the next one tries again
      throw error;
    }
  }

  async #untilReady(adapter: ClientAdapter): Promise<void> {
    if (adapter.state() === 'starting') {
      this.#starting ??= untilStarted(adapter).finally(() => (this.#starting = undefined));
      await this.#starting;
    }
    const state = adapter.state();
    if (state === 'ready') return;
    if (state === 'closed')
      throw new Error("The client of Redis is closed: connect it first, as with node-redis' `connect()`.");
    const opened = await this.#opening?.catch(() => undefined);
    const reason = opened?.lastError();
    throw new Error(`Redis is away${reason === undefined ? '' : `: ${reason}`}. Nothing was sent.`);
  }
}

function adapterOf(client: RedisClient): ClientAdapter {
  const { sendCommand, call, status } = Object(client) as Record<string, unknown>;
  if (typeof call === 'function' && typeof status === 'string') return ioRedis(client as never);
  if (typeof sendCommand === 'function' && 'isOpen' in client) return nodeRedis(client);
  throw new SessionOptionsError([
    'RedisSessionStore needs a client of node-redis or ioredis, or a URL such as redis://localhost:6379.',
  ]);
}

function checkUrl(url: string): string {
  if (/^rediss?:\/\//.test(url) && URL.canParse(url)) return url;
  throw new SessionOptionsError([
    'RedisSessionStore got a text that is no URL: write redis://user:password@host:6379/0, or rediss:// with TLS.',
  ]);
}

/** Clients tell of this in as many ways as there are: so it is looked at. */
async function untilStarted(adapter: ClientAdapter): Promise<void> {
  const end = performance.now() + START_MS;
  while (adapter.state() === 'starting' && performance.now() < end)
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
}

async function* scan(send: Send, pattern: string): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    const reply = await send(['scan', cursor, 'match', pattern, 'type', 'hash', 'count', '1000']).catch(
      rethrow,
    );
    const [next, keys] = reply as [string, string[]];
    yield keys;
    cursor = String(next);
  } while (cursor !== '0');
}

function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\]/g, '\\$&');
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

function rethrow(error: unknown): never {
  throw withoutSecrets(error) ?? new Error('Redis failed.');
}
