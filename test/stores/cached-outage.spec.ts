import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { MemorySessionStore, type SessionStore } from 'nest-session';
import { CachedSessionStore } from 'nest-session/cache';
import { aChange, aRecord, FakeClock, newKey } from 'nest-session/testing';

/** A cache that counts its commands, and fails or hangs when it is told to. */
class Adapter {
  readonly entries = new Map<string, unknown>();
  readonly commands: string[] = [];
  state: 'works' | 'fails' | 'hangs' = 'works';
  /** Commands that fail, or all. */
  failing: readonly string[] | undefined;

  get = (key: string) => this.#do('get', () => this.entries.get(key));
  getMany = (keys: string[]) => this.#do('getMany', () => keys.map((key) => this.entries.get(key)));
  set = (key: string, value: unknown) => this.#do('set', () => void this.entries.set(key, value));
  delete = (key: string) => this.#do('delete', () => this.entries.delete(key));
  clear = () => this.entries.clear();

  async #do<T>(command: string, work: () => T): Promise<T> {
    this.commands.push(command);
    const isHit = this.failing?.includes(command) ?? true;
    if (this.state === 'hangs' && isHit) return new Promise<T>(() => undefined);
    if (this.state === 'fails' && isHit) throw new Error('the server went away');
    return work();
  }
}

function open(
  adapter = new Adapter(),
  base: SessionStore = new MemorySessionStore(),
  clock = new FakeClock(),
) {
  const cache = createCache({ stores: [new Keyv({ store: adapter })] });
  const store = new CachedSessionStore(base, cache, { cacheTimeout: '100ms' }, clock);
  stores.push(store);
  return { adapter, base, clock, store, asked: jest.spyOn(base, 'load') };
}

const stores: SessionStore[] = [];
let warn: jest.SpiedFunction<Logger['warn']>;
let log: jest.SpiedFunction<Logger['log']>;

beforeEach(() => {
  warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  log = jest.spyOn(Logger.prototype, 'log').mockImplementation(() => undefined);
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  jest.restoreAllMocks();
});

describe('A cached session', () => {
  it('is read in one command of the cache, and none of the base', async () => {
    const { adapter, asked, store } = open();
    const key = newKey();
    const record = aRecord({ values: { a: '1' }, userId: '7' });
    await store.create(key, record);
    expect(await store.load(key)).toEqual(record);
    adapter.commands.splice(0);
    asked.mockClear();
    expect(await store.load(key)).toEqual(record);
    expect(adapter.commands).toEqual(['getMany']);
    expect(asked).not.toHaveBeenCalled();
  });

  it('is read from the base again after each write, and after maxAge', async () => {
    const { asked, clock, store } = open();
    const key = newKey();
    await store.create(key, aRecord());
    const writes: (() => unknown)[] = [
      () => store.save(key, aChange({ set: { a: '1' } })),
      () => store.touch(key, aChange()),
      () => store.atomic(key, 'a', () => '2'),
      () => clock.advance('60s'),
      () => undefined,
    ];
    const counts: number[] = [];
    for (const write of writes) {
      await store.load(key);
      await write();
      asked.mockClear();
      await store.load(key);
      counts.push(asked.mock.calls.length);
    }
    expect(counts).toEqual([1, 1, 1, 1, 0]);
  });

  it('is not served after its deadline, nor when its age says that a clock is wrong', async () => {
    const { clock, store, asked } = open();
    const [short, long] = [newKey(), newKey()];
    await store.create(short, aRecord({ expiresAt: clock.now() + 1_000 }));
    await store.create(long, aRecord());
    for (const key of [short, long]) await store.load(key);
    clock.advance('1s');
    asked.mockClear();
    await store.load(short);
    expect(asked).toHaveBeenCalledTimes(1);
    clock.set(clock.now() - 3_600_000);
    await store.load(long);
    expect(asked).toHaveBeenCalledTimes(2);
  });

  it('is neither a tombstone, nor what the base could not read', async () => {
    const { adapter, base, store } = open();
    const key = newKey();
    for (const odd of [{ gone: 'ended' }, { corrupt: true }, { format: 2 }] as const) {
      base.load = async () => ({ ...aRecord(), ...odd });
      await store.load(key);
      expect([...adapter.entries.keys()].filter((name) => !name.endsWith(':mark'))).toEqual([]);
    }
  });

  it('is forgotten with all its data when it ends', async () => {
    const { adapter, store } = open();
    const key = newKey();
    await store.create(key, aRecord());
    await store.load(key);
    expect(adapter.entries.size).toBe(2);
    await store.delete(key);
    expect(adapter.entries.size).toBe(0);
  });
});

describe.each(['fails', 'hangs'] as const)('While the cache %s', (state) => {
  it('all works by the base, with one warning, and the cache is not asked again and again', async () => {
    const { adapter, store } = open();
    const key = newKey();
    adapter.state = state;
    await store.create(key, aRecord());
    for (let n = 0; n < 5; n++) {
      expect(await store.save(key, aChange({ set: { n: String(n) } }))).toBe(true);
      expect((await store.load(key))?.values.n).toBe(String(n));
    }
    await store.ping();
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).not.toContain(key);
    expect(adapter.commands.length).toBeLessThan(10);
  });

  it('what ended then stays dead when the cache is back with its old copy, for every process', async () => {
    const { adapter, base, store } = open();
    const other = open(adapter, base).store;
    const key = newKey();
    await store.create(key, aRecord());
    await store.load(key);
    adapter.state = state;
    expect(await store.delete(key)).toBe(true);
    adapter.state = 'works';
    expect(adapter.entries.size).toBe(2); // the copy is there, and its mark
    expect(await store.load(key)).toBeUndefined();
    await until(() => adapter.entries.size === 0); // it is told without being asked
    expect(await other.load(key)).toBeUndefined();
    await until(() => log.mock.calls.length === 1);
  });
});

it('A cache that answers again, but could not be told yet, is not believed about what has ended', async () => {
  const { adapter, store } = open();
  const [key, other] = [newKey(), newKey()];
  for (const each of [key, other]) await store.create(each, aRecord());
  for (const each of [key, other]) await store.load(each);
  [adapter.state, adapter.failing] = ['hangs', ['delete']];
  await store.delete(key);
  const isToldAgain = () => adapter.commands.filter((command) => command === 'delete').length > 2;
  await until(isToldAgain);
  adapter.commands.splice(0);
  expect(await store.load(key)).toBeUndefined();
  expect(await store.load(other)).toBeDefined();
  expect(adapter.commands).toEqual(['getMany']); // for the other alone
});

it('A copy that was ended while the cache could not be told is served by no process after maxAge', async () => {
  const { adapter, base, clock, store } = open();
  const other = open(adapter, base, clock).store;
  const key = newKey();
  await store.create(key, aRecord());
  await store.load(key);
  [adapter.state, adapter.failing] = ['fails', ['delete']]; // this process fails; others can read
  await store.delete(key);
  clock.advance('60s');
  expect(await other.load(key)).toBeUndefined();
});

it('A cache that works again is used again, and the next outage is warned of', async () => {
  const { adapter, asked, store } = open();
  const key = newKey();
  await store.create(key, aRecord());
  for (const outage of [1, 2]) {
    adapter.state = 'fails';
    await store.load(key);
    expect(warn).toHaveBeenCalledTimes(outage);
    adapter.state = 'works';
    await until(() => log.mock.calls.length === outage);
    await store.load(key);
    asked.mockClear();
    await store.load(key);
    expect(asked).not.toHaveBeenCalled();
  }
});

it('A copy that the cache does not take costs nothing but a warning', async () => {
  const { adapter, store } = open();
  const key = newKey();
  await store.create(key, aRecord());
  const { set } = adapter;
  adapter.set = (name, value) =>
    name.endsWith(':mark') ? set(name, value) : Promise.reject(new Error('too large'));
  for (let n = 0; n < 3; n++) expect(await store.load(key)).toBeDefined();
  expect(warn).toHaveBeenCalledTimes(1);
  expect(adapter.commands.filter((command) => command === 'getMany')).toHaveLength(3);
});

it('A base that fails is an error, and the cache forgets what may have changed', async () => {
  const { adapter, base, store } = open();
  const key = newKey();
  await store.create(key, aRecord());
  await store.load(key);
  base.delete = () => Promise.reject(new Error('lost the answer'));
  await expect(store.delete(key)).rejects.toThrow('lost the answer');
  expect(adapter.entries.size).toBe(0);
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
