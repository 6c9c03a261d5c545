import { Logger } from '@nestjs/common';
import { pause } from '../../core/pause.js';
import { SessionOptionsError } from '../../errors.js';
import { ioRedis } from './ioredis.js';
import { nodeRedis } from './node-redis.js';
import type { ClientAdapter, ClientState, RedisClient, Send } from './redis-client.js';
import { type OpenConnection, openConnection } from './redis-connection.js';
import {
  isBroken,
  isReadOnly,
  isUnknownScript,
  messageOf,
  type RedisRefusal,
  refusalOf,
  rethrow,
} from './refusals.js';
import type { Script } from './script.js';

/** So long the first commands wait for a client that has never been connected. */
const START_MS = 5_000;
const LOOK_AGAIN_MS = 10;

/** So long one command waits for a connection that broke under it, or was dropped. */
const BACK_MS = 2_000;

/** A connection is dropped no more often than this: its successor may lead to the same replica, for a while or for ever. */
const RENEW_MS = 1_000;

/** So often, at most, it is told that a server became a replica. */
const TELL_MS = 60_000;

/** So often it is asked whether a server evicts: an operator can change that while it runs. */
const ASK_AGAIN_MS = 5 * 60 * 1000;

/** A script that is said to write, which it does not: a server refuses it exactly where a write would fail. */
const COULD_WRITE = ['eval', '#!lua\nreturn 1', '0'];

/**
 * The store's way to Redis: commands and scripts, never queued for a server that is away, and errors that hold neither
 * keys nor values (clients put whole commands into theirs).
 *
 * A command that meets a read-only replica wrote nothing. After a fail-over that is a server that was the primary when the
 * connection was made: the connection is made anew, and the command is sent once more. What only reads is sent once more
 * also when the connection broke under it.
 */
export class RedisLink {
  readonly #logger = new Logger('Session');
  readonly #url: string | undefined;
  #adapter: ClientAdapter | undefined;
  #opening: Promise<OpenConnection> | undefined;
  #starting: Promise<RedisRefusal | undefined> | undefined;
  readonly #dropped = new Set<Promise<void>>();
  #renewing: Promise<void> | undefined;
  #renewedAt = -Infinity;
  #toldAt = -Infinity;
  #mayEvict: boolean | undefined;
  #askedAt = -Infinity;
  #asking: Promise<string | undefined> | undefined;
  #isClosed = false;

  /** @throws SessionOptionsError when it is neither a client nor a URL */
  constructor(source: string | RedisClient) {
    if (typeof source === 'string') this.#url = checkUrl(source);
    else this.#adapter = adapterOf(source);
  }

  /**
   * Connects, or waits for a client that is just connecting.
   *
   * @throws RedisRefusal when the server answers, and refuses the client
   */
  async start(): Promise<ClientAdapter> {
    if (this.#isClosed) throw new Error('The session store is closed.');
    const adapter = (this.#adapter ??= await this.#open());
    if (adapter.state() !== 'ready') await this.#untilReady(adapter);
    return adapter;
  }

  /** Sends a command that has no script; `key` routes it in a cluster. */
  async ask(key: string, ...command: string[]): Promise<unknown> {
    return this.#do((adapter) => adapter.send(key, command));
  }

  /** The same for a command that changes nothing. */
  async read(key: string, ...command: string[]): Promise<unknown> {
    return this.#do((adapter) => adapter.send(key, command), true);
  }

  /**
   * Runs a script by its name; a server that does not know it (restarted, failed over, flushed) gets the text.
   *
   * @param onlyReads it changes nothing
   */
  async run(
    script: Script,
    keys: readonly [string, ...string[]],
    args: readonly string[],
    onlyReads = false,
  ): Promise<unknown> {
    const [first] = keys;
    const rest = [String(keys.length), ...keys, ...args];
    return this.#do(async (adapter) => {
      try {
        return await adapter.send(first, ['evalsha', script.sha, ...rest]);
      } catch (error) {
        if (!isUnknownScript(error)) throw error;
        return adapter.send(first, ['eval', script.lua, ...rest]);
      }
    }, onlyReads);
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

  /**
   * Whether the server may have dropped keys because it was full, or may do so; yes also where it does not tell. Undefined
   * when nobody has asked.
   */
  get mayEvict(): boolean | undefined {
    const isOld = this.#mayEvict !== undefined && performance.now() - this.#askedAt > ASK_AGAIN_MS;
    if (isOld && this.isReady) this.askForEviction().catch(() => undefined); // for the next ones
    return this.#mayEvict;
  }

  /** Asks every server for a sign of life. */
  async ping(): Promise<void> {
    await this.#do(async (adapter) => {
      const masters = await adapter.masters();
      await Promise.all(masters.map((send) => send(['ping'])));
    });
  }

  /**
   * Asks every server whether it would take a write. Nothing is written.
   *
   * @throws RedisRefusal when one is a replica, full, or can't save
   */
  async pingToWrite(): Promise<void> {
    await this.#do(async (adapter) => {
      const masters = await adapter.masters();
      await Promise.all(masters.map(couldWrite));
    });
  }

  /** Asks every server what it does when it is full. @returns the first policy by which one drops keys */
  askForEviction(): Promise<string | undefined> {
    return (this.#asking ??= this.#askForEviction().finally(() => (this.#asking = undefined)));
  }

  /**
   * Asks for the client's database: ioredis goes on in database 0 when its own is refused.
   *
   * @throws RedisRefusal
   */
  async checkDatabase(): Promise<void> {
    const { database } = await this.start();
    if (database !== undefined) await this.ask('', 'select', String(database));
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

  /** Closes the connection that was opened here; the next who needs one opens another. */
  async drop(): Promise<void> {
    const opened = this.#opening;
    if (!opened) return;
    this.#adapter = undefined;
    this.#opening = undefined;
    const closing = opened.then((connection) => connection.close()).catch(() => undefined);
    this.#dropped.add(closing);
    await closing.finally(() => this.#dropped.delete(closing));
  }

  /** Closes what was opened here. */
  async close(): Promise<void> {
    if (this.#url === undefined || this.#isClosed) return;
    this.#isClosed = true;
    this.#adapter = undefined;
    const connection = await this.#opening?.catch(() => undefined);
    await connection?.close();
    await Promise.all(this.#dropped);
  }

  async #askForEviction(): Promise<string | undefined> {
    const adapter = await this.start();
    const masters = await adapter.masters().catch(rethrow);
    this.#askedAt = performance.now();
    const found = await Promise.all(masters.map(evictionOf)).catch((error: unknown) => {
      if (isBroken(error)) this.#askedAt = -Infinity; // it did not refuse: the next one asks again
      return undefined;
    });
    this.#mayEvict = found?.some(({ policy, hasEvicted }) => policy !== undefined || hasEvicted) ?? true;
    return found?.find(({ policy }) => policy !== undefined)?.policy;
  }

  /** Does one command's work; a second time where the first did nothing that counts. */
  async #do(work: (adapter: ClientAdapter) => Promise<unknown>, onlyReads = false): Promise<unknown> {
    const adapter = this.#ready ?? (await this.start());
    try {
      return await work(adapter);
    } catch (error) {
      const isWorthAnother = isReadOnly(error)
        ? await this.#renew(adapter)
        : onlyReads && isBroken(error) && !this.#isClosed;
      if (!isWorthAnother) rethrow(error);
      const other = await this.#untilBack().catch(() => undefined);
      if (!other) rethrow(error);
      return work(other).catch(rethrow);
    }
  }

  /** @returns false when the connection can't be made anew, or was a moment ago */
  async #renew(adapter: ClientAdapter): Promise<boolean> {
    if (this.#isClosed) return false;
    if (this.#adapter !== adapter) return true; // somebody was faster
    if (this.#renewing) return this.#renewing.then(() => true);
    const now = performance.now();
    if (now - this.#renewedAt < RENEW_MS) return false;
    const renew = this.#url === undefined ? adapter.reconnect : async () => void this.drop();
    if (!renew) return false;
    this.#renewedAt = now;
    if (now - this.#toldAt > TELL_MS) {
      this.#toldAt = now;
      this.#logger.warn(
        'Redis answers as a read-only replica, as after a fail-over: the connection is made anew.',
      );
    }
    this.#renewing = renew().catch(() => undefined); // that it is away, is told to whoever comes next
    await this.#renewing;
    this.#renewing = undefined;
    return true;
  }

  async #untilBack(): Promise<ClientAdapter> {
    if (this.#isClosed) return this.start();
    const adapter = (this.#adapter ??= await this.#open());
    await untilNot(['away', 'starting'], adapter, BACK_MS);
    return this.start();
  }

  get #ready(): ClientAdapter | undefined {
    return this.isReady ? this.#adapter : undefined;
  }

  async #open(): Promise<ClientAdapter> {
    const opening = (this.#opening ??= openConnection(this.#url ?? ''));
    try {
      const { client } = await opening;
      // Of all who waited the first makes it: what an adapter knows of its client is one.
      return this.#opening === opening ? (this.#adapter ??= adapterOf(client)) : adapterOf(client);
    } catch (error) {
      this.#opening = undefined; // the next one tries again
      throw error;
    }
  }

  async #untilReady(adapter: ClientAdapter): Promise<void> {
    let refusal: RedisRefusal | undefined;
    if (adapter.state() === 'starting') {
      this.#starting ??= untilStarted(adapter).finally(() => (this.#starting = undefined));
      refusal = await this.#starting;
    }
    const state = adapter.state();
    if (state === 'ready') return;
    if (refusal) throw refusal;
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

const URL_FORM = 'write redis://user:password@host:6379/0, or rediss:// with TLS';
const ENCODE =
  'in a user or a password write # as %23, / as %2F, ? as %3F and % as %25 (encodeURIComponent does it)';

/** @throws SessionOptionsError that shows nothing of it */
function checkUrl(url: string): string {
  if (!/^rediss?:\/\//.test(url)) throw urlError('got a text that is no URL', URL_FORM);
  const { username, password, pathname, search, hash } = URL.canParse(url) ? new URL(url) : unreadable(url);
  if (`${pathname}${search}${hash}`.includes('@') || !isEncoded(username) || !isEncoded(password))
    throw urlError('got a URL whose user or password is not encoded', ENCODE);
  if (!/^\/?\d*$/.test(pathname))
    throw urlError('got a URL with a database that is no number', 'end it with /0 or another number');
  return url;
}

/** @throws SessionOptionsError */
function unreadable(url: string): never {
  if (url.includes('@')) throw urlError('got a URL that can’t be read', `${ENCODE}; and ${URL_FORM}`);
  throw urlError('got a text that is no URL', URL_FORM);
}

function urlError(what: string, instead: string): SessionOptionsError {
  return new SessionOptionsError([`RedisSessionStore ${what}: ${instead}.`]);
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** @returns why it will not start, where the server is there and refuses it */
async function untilStarted(adapter: ClientAdapter): Promise<RedisRefusal | undefined> {
  let refusal: RedisRefusal | undefined;
  const stop = adapter.listen((error) => (refusal ??= mistakeOf(error)));
  await untilNot(['starting'], adapter, START_MS, () => refusal !== undefined).finally(stop);
  return refusal;
}

/** Clients tell of this in as many ways as there are: so it is looked at. */
async function untilNot(
  states: readonly ClientState[],
  adapter: ClientAdapter,
  patienceMs: number,
  isEnough = () => false,
): Promise<void> {
  const end = performance.now() + patienceMs;
  while (states.includes(adapter.state()) && !isEnough() && performance.now() < end)
    await pause(LOOK_AGAIN_MS);
}

/** A server that knows no such scripts is asked for a sign of life. */
async function couldWrite(send: Send): Promise<void> {
  try {
    await send(COULD_WRITE);
  } catch (error) {
    if (!/^ERR .*(compil|shebang|engine)/i.test(messageOf(error))) throw error;
    await send(['ping']);
  }
}

function mistakeOf(error: unknown): RedisRefusal | undefined {
  const refusal = refusalOf(error);
  return refusal?.isMistake ? refusal : undefined;
}

async function evictionOf(send: Send): Promise<{ policy?: string; hasEvicted: boolean }> {
  const [memory, stats] = (await Promise.all([send(['info', 'memory']), send(['info', 'stats'])])).map(
    String,
  );
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory ?? '')?.[1];
  if (policy === undefined) throw new Error('ERR Redis does not tell what it does when it is full.');
  const hasEvicted = !/^evicted_keys:0\s/m.test(`${stats}\n`);
  return policy === 'noeviction' ? { hasEvicted } : { policy, hasEvicted };
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
