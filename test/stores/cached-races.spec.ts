import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { MemorySessionStore, type SessionStore } from 'nest-session';
import { CachedSessionStore } from 'nest-session/cache';
import { aChange, aRecord, newKey } from 'nest-session/testing';
import { gate, withResolvers } from '../support/laws.js';

/** Each command of each actor waits here until it is that actor's turn. */
class Stage {
  readonly #waiting = new Map<string, () => void>();
  readonly #steps = new Map<string, number>();

  /** Commands that an actor gives at once may be done in any order, as those of several actors. */
  step<T>(actor: string, command: () => T | Promise<T>): Promise<T> {
    const number = (this.#steps.get(actor) ?? 0) + 1;
    this.#steps.set(actor, number);
    return new Promise((resolve) => this.#waiting.set(`${actor}.${number}`, () => resolve(command())));
  }

  get ready(): string[] {
    return [...this.#waiting.keys()].sort();
  }

  async letGo(step: string): Promise<void> {
    const go = this.#waiting.get(step);
    this.#waiting.delete(step);
    go?.();
    await settled();
  }
}

/** A process: a store of its own over the base and the cache that all share, and each of its commands is one step. */
function processOn(stage: Stage, name: string, shared: MemorySessionStore, entries: Map<string, unknown>) {
  const base = Object.assign(Object.create(shared) as MemorySessionStore, {
    load: (key: string) => stage.step(name, () => shared.load(key)),
    save: (...args: Parameters<MemorySessionStore['save']>) => stage.step(name, () => shared.save(...args)),
    delete: (...args: Parameters<SessionStore['delete']>) => stage.step(name, () => shared.delete(...args)),
    rename: (...args: Parameters<MemorySessionStore['rename']>) =>
      stage.step(name, () => shared.rename(...args)),
  });
  const adapter = {
    get: (key: string) => stage.step(name, () => entries.get(key)),
    getMany: (keys: string[]) => stage.step(name, () => keys.map((key) => entries.get(key))),
    set: (key: string, value: unknown) => stage.step(name, () => void entries.set(key, value)),
    // The mark alone: that the copy itself is deleted too is tidy, and nothing depends on it.
    delete: (key: string) => key.endsWith(':mark') && stage.step(name, () => entries.delete(key)),
    clear: () => entries.clear(),
  };
  const cache = createCache({ stores: [new Keyv({ store: adapter })] });
  return new CachedSessionStore(base, cache, { cacheTimeout: '1h' });
}

/** What stands in the cache when the race begins. */
const BEGINNINGS = ['an empty cache', 'a copy that counts'] as const;

/** The writes, and what a load that begins after them may see. */
const WRITES = {
  'a revocation': {
    write: (store: SessionStore, key: string) => store.delete(key),
    seen: undefined,
  },
  'a save': {
    write: (store: SessionStore, key: string) => store.save(key, aChange({ set: { a: '2' } })),
    seen: '2',
  },
  'a new id': {
    write: (store: SessionStore, key: string) => store.rename(key, newKey(), aChange()),
    seen: undefined,
  },
} as const;

describe.each(Object.entries(WRITES))('After %s among two slow loads', (_, { write, seen }) => {
  it.each(BEGINNINGS)(
    'no order of their commands leaves an old copy that is served, beginning with %s',
    async (beginning) => {
      const orders = allOrders(() => race(beginning, write));
      let count = 0;
      for await (const { order, loaded } of orders) {
        count++;
        if (loaded !== seen) throw new Error(`Served ${String(loaded)} after: ${order.join(' ')}`);
      }
      expect(count).toBeGreaterThan(beginning === 'a copy that counts' ? 10 : 500);
    },
  );
});

interface Race {
  stage: Stage;
  /** Asked by a process that comes when all is over. */
  loadAfterwards(): Promise<string | undefined>;
}

async function race(
  beginning: (typeof BEGINNINGS)[number],
  write: (store: SessionStore, key: string) => Promise<unknown>,
): Promise<Race> {
  const stage = new Stage();
  const entries = new Map<string, unknown>();
  const base = new MemorySessionStore();
  const key = newKey();
  await base.create(key, aRecord({ values: { a: '1' } }));
  const cache = createCache({ stores: [new Keyv({ store: entries })] });
  const afterwards = new CachedSessionStore(base, cache);
  if (beginning !== 'an empty cache') await afterwards.load(key);
  const [one, two, writer] = ['one', 'two', 'writer'].map((name) => processOn(stage, name, base, entries));
  void Promise.all([one.load(key), two.load(key), write(writer, key)]);
  await settled();
  return {
    stage,
    loadAfterwards: async () => {
      const record = await afterwards.load(key);
      return record?.gone ? undefined : record?.values.a;
    },
  };
}

/** Every order in which the actors can do their commands, each tried from the beginning. */
async function* allOrders(begin: () => Promise<Race>) {
  const prefixes: string[][] = [[]];
  for (let order = prefixes.pop(); order; order = prefixes.pop()) {
    const { stage, loadAfterwards } = await begin();
    for (const actor of order) await stage.letGo(actor);
    for (let ready = stage.ready; ready.length > 0; ready = stage.ready) {
      const isOneFirst = ready.includes('one.1'); // the two loads are alike: one of them begins
      const [next, ...others] = ready.filter((step) => !(isOneFirst && step === 'two.1'));
      for (const other of others) prefixes.push([...order, other]);
      order = [...order, next];
      await stage.letGo(next);
    }
    yield { order, loaded: await loadAfterwards() };
  }
}

/** Until everybody waits for the stage, or is done. */
async function settled(): Promise<void> {
  await new Promise(setImmediate);
}

describe('A load that began before a revocation, and comes back after it', () => {
  it.each([
    ['ended', (store: SessionStore, key: string, until: number) => store.delete(key, until)],
    [
      'renamed',
      (store: SessionStore, key: string, until: number) => store.rename(key, newKey(), aChange(), until),
    ],
  ])('does not bring the session back, in its own process or another: %s', async (gone, end) => {
    const base = new MemorySessionStore();
    const cache = createCache();
    const [slow, quick] = [new CachedSessionStore(base, cache), new CachedSessionStore(base, cache)];
    const key = newKey();
    await base.create(key, aRecord());
    const answer = gateAnswer(base);
    const loading = slow.load(key);
    await answer.reached;
    await end(quick, key, Date.now() + 30_000);
    answer.open();
    expect((await loading)?.gone).toBeUndefined(); // it began before
    for (const store of [slow, quick, slow]) expect((await store.load(key))?.gone).toBe(gone);
  });

  it('nor one that is ended with all sessions of its user', async () => {
    const base = new MemorySessionStore();
    const cache = createCache();
    const [slow, quick] = [new CachedSessionStore(base, cache), new CachedSessionStore(base, cache)];
    const [key, late] = [newKey(), newKey()];
    for (const each of [key, late]) await base.create(each, aRecord({ userId: each === key ? '7' : '8' }));
    const ending = gate(base, 'delete');
    await Promise.all([slow.load(key), slow.load(late)]);
    const ended = quick.deleteByUser('7');
    await ending.reached;
    // The user begins another session, which is read, and cached, before the first has ended.
    const newer = newKey();
    await base.create(newer, aRecord({ userId: '7' }));
    await slow.load(newer);
    ending.open();
    expect(await ended).toBe(2);
    expect(await Promise.all([key, newer].map((each) => slow.load(each)))).toEqual([undefined, undefined]);
    expect(await slow.load(late)).toBeDefined();
  });
});

/** Holds the next answer of `load` back: the base has read by then. */
function gateAnswer(base: SessionStore) {
  const load = base.load.bind(base);
  const reached = withResolvers<void>();
  const opened = withResolvers<void>();
  base.load = async (key) => {
    base.load = load;
    const record = await load(key);
    reached.resolve();
    await opened.promise;
    return record;
  };
  return { reached: reached.promise, open: opened.resolve };
}
