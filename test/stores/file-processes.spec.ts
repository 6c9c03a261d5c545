import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FileSessionStore } from 'nest-session';
import { aChange, aRecord, newKey } from 'nest-session/testing';
import { compileLibrary } from '../support/compiled-library.js';

const worker = fileURLToPath(new URL('file-process.mjs', import.meta.url));
const KILLS = 200;
const AT_ONCE = 4;

/** A process, and what it has told so far. */
class Writer {
  readonly told: unknown[] = [];
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(private readonly plan: object) {
    this.#process = fork(worker, { env: { ...process.env, NODE_OPTIONS: '' }, execArgv: [] });
    this.#process.on('message', (message) => this.told.push(message));
    this.#ended = once(this.#process, 'close'); // after the last message
    running.add(this);
  }

  async ready(): Promise<void> {
    this.#process.send(this.plan);
    await this.until(() => this.told.length > 0);
    this.told.length = 0;
  }

  go(): void {
    this.#process.send('go');
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Wakes it, again and again: on a busy machine it may go to sleep later than we think. */
  async wakesAndEnds(): Promise<void> {
    const waking = setInterval(() => this.signal('SIGCONT'), 50);
    await this.ends();
    clearInterval(waking);
  }

  /** Waits for messages until they are what is waited for. */
  async until(isThere: () => boolean): Promise<void> {
    const stop = new AbortController();
    const ended = this.#ended.then(() => {
      throw new Error('The process ended.');
    });
    ended.catch(() => undefined);
    while (!isThere())
      await Promise.race([once(this.#process, 'message', { signal: stop.signal }), ended]).catch((error) => {
        stop.abort();
        throw error;
      });
  }

  async ends(): Promise<void> {
    await this.#ended;
    running.delete(this);
  }
}

let running = new Set<Writer>();
let library: Awaited<ReturnType<typeof compileLibrary>>;
let directory: string;
let store: FileSessionStore;

beforeAll(async () => {
  library = await compileLibrary({ littleNest: true });
});
afterAll(() => library.remove());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'nest-session-'));
  store = new FileSessionStore({ directory });
});
afterEach(async () => {
  for (const writer of running) writer.signal('SIGKILL');
  await Promise.all([...running].map((writer) => writer.ends()));
  running = new Set();
  await rm(directory, { recursive: true, force: true });
});

const start = async (plan: object): Promise<Writer> => {
  const writer = new Writer({
    library: join(library.path, 'stores/file/file-session.store.js'),
    directory,
    ...plan,
  });
  await writer.ready();
  return writer;
};

/** All files and folders but the shards. */
const everything = async () => {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.map((entry) => join(entry.parentPath, entry.name));
};

it('lose nothing of what several processes write to one session at once, and leave nothing else', async () => {
  const key = newKey();
  const names = ['a', 'b', 'c'];
  const rounds = 40;
  await store.create(key, aRecord());
  const writers = await Promise.all(names.map((name) => start({ task: 'hammer', key, rounds, name })));
  for (const writer of writers) writer.go();
  await Promise.all(writers.map((writer) => writer.ends()));

  expect(writers.map(({ told }) => told)).toEqual(names.map(() => ['done']));
  const values = (await store.load(key))?.values ?? {};
  expect(values.sum).toBe(String(names.length * rounds));
  expect(Object.keys(values)).toHaveLength(names.length * rounds + 1);
  expect(await store.count()).toBe(1);
  const sessions = join(directory, 'sessions');
  expect(await everything()).toEqual([
    sessions,
    join(directory, 'users'),
    join(sessions, key.slice(0, 3)),
    join(sessions, key.slice(0, 3), key),
  ]);
});

it('make files for their user alone, whatever the umask', async () => {
  const writer = await start({ task: 'hammer', key: await created(), rounds: 1, name: 'a' });
  writer.go();
  await writer.ends();
  for (const path of await everything()) {
    const found = await stat(path);
    expect([path, found.mode & 0o777]).toEqual([path, found.isDirectory() ? 0o700 : 0o600]);
  }
});

it(`tear no file and lose no acknowledged save or rename when they are killed, ${KILLS} times`, async () => {
  const acknowledged = new Map<string, number>();
  const chains: string[][] = [];
  const filler = 20_000;
  let kills = 0;

  const killOne = async () => {
    const keys = [await created(), await created()];
    const chain = Array.from({ length: 500 }, newKey);
    const userId = `user ${chain[0]}`;
    await store.create(chain[0], aRecord({ userId }));
    chains.push(chain);
    const writer = await start({ task: 'write', keys, chain, filler });
    const after = 1 + Math.floor(Math.random() * 20);
    writer.go();
    await writer.until(() => writer.told.length >= after);
    writer.signal('SIGKILL');
    await writer.ends();
    for (const key of [...keys, chain[0]]) acknowledged.set(key, 0);
    for (const { key, n } of writer.told as { key: string; n: number }[]) acknowledged.set(key, n);
  };
  const lane = async () => {
    while (kills++ < KILLS) await killOne();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  expect(chains).toHaveLength(KILLS);

  await everythingIsOld();
  expect(await store.deleteExpired()).toBe(0);
  const saved = [...acknowledged].filter(([key]) => !chains.some(([first]) => first === key));
  for (const [key, n] of saved) {
    const record = await store.load(key);
    expect(record?.corrupt).toBeUndefined();
    expect(Number(record?.values.n ?? 0)).toBeGreaterThanOrEqual(n);
    if (record?.values.text !== undefined) expect(record.values.text).toHaveLength(filler + 2);
  }
  for (const chain of chains) {
    const found = await store.findByUser(`user ${chain[0]}`);
    expect(found).toHaveLength(1);
    const [{ key, record }] = found;
    expect(chain.indexOf(key)).toBeGreaterThanOrEqual(acknowledged.get(chain[0]) ?? 0);
    expect(record.values.n ?? '0').toBe(String(chain.indexOf(key)));
    expect((await store.load(chain[0]))?.gone).toBe(key === chain[0] ? undefined : 'renamed');
  }
  expect(await store.count()).toBe(3 * KILLS);

  const names = (await everything()).map((path) => path.split('/').at(-1) ?? '');
  expect(names.filter((name) => /\.lock$|^[0-9a-f]{64}\.[0-9a-f]{16}$|^[0-9a-f]{16}$/.test(name))).toEqual(
    [],
  );
  expect(names.filter((name) => /^[0-9a-f]{64}\.[0-9a-f]{64}$/.test(name))).toHaveLength(KILLS);
}, 180_000);

it('wait two seconds and no longer for the lock of a process that was killed', async () => {
  const key = await created({ values: { n: '1' } });
  const writer = await start({ task: 'sleepInside', key });
  writer.go();
  await lockOf(key);
  writer.signal('SIGKILL');
  await writer.ends();
  const began = performance.now();
  expect(await store.save(key, aChange({ set: { mine: '1' } }))).toBe(true);
  expect(performance.now() - began).toBeLessThan(4_000);
  expect({ ...(await store.load(key))?.values }).toEqual({ n: '1', mine: '1' });
});

it('lose nothing when one of them sleeps with the lock, and wakes when it was broken', async () => {
  const key = await created({ values: { n: '1' } });
  const writer = await start({ task: 'sleepInside', key });
  writer.go();
  await lockOf(key);
  expect(await store.atomic(key, 'n', () => '10')).toEqual({ text: '10' });
  await writer.wakesAndEnds();
  expect(writer.told).toEqual([{ times: 2 }, 'done']);
  expect({ ...(await store.load(key))?.values }).toEqual({ n: '11' });
});

it('bring back no session that was ended while one of them slept with the lock', async () => {
  const key = await created({ values: { n: '1' } });
  const writer = await start({ task: 'sleepInside', key });
  writer.go();
  await lockOf(key);
  expect(await store.delete(key)).toBe(true);
  await writer.wakesAndEnds();
  expect(writer.told.at(-1)).toBe('done');
  expect(await store.load(key)).toBeUndefined();
});

async function created(parts?: Parameters<typeof aRecord>[0]): Promise<string> {
  const key = newKey();
  expect(await store.create(key, aRecord(parts))).toBe(true);
  return key;
}

/** Waits until a process stopped with the lock in its hands. */
async function lockOf(key: string): Promise<void> {
  const shard = join(directory, 'sessions', key.slice(0, 3));
  while (!(await readdir(shard)).includes(`${key}.lock`))
    await new Promise((resolve) => setTimeout(resolve, 5));
}

/** As if ten minutes had passed; what locks are judged by can't be set, so that they are waited for. */
async function everythingIsOld(): Promise<void> {
  const longAgo = new Date(Date.now() - 11 * 60_000);
  let lastChange = 0;
  for (const path of await everything()) {
    await utimes(path, longAgo, longAgo);
    if (path.endsWith('.lock')) lastChange = Math.max(lastChange, (await stat(path)).ctimeMs);
  }
  while (Date.now() < lastChange + 2_100) await new Promise((resolve) => setTimeout(resolve, 50));
}
