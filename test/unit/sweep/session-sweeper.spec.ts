import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { MemorySessionStore, SessionStore } from 'nest-session';
import { aRecord, FakeClock, newKey } from 'nest-session/testing';
import { resolveOptions } from '../../../lib/options/resolve-options.js';
import { SessionEvents } from '../../../lib/events/session-events.js';
import type { SessionSweepOptions } from '../../../lib/session-options.js';
import type { DeleteExpiredOptions } from '../../../lib/stores/session-store.js';
import { SessionSweeper } from '../../../lib/sweep/session-sweeper.js';

const HOUR = 3_600_000;

/** Notes what it is asked, and answers as the test says. */
class AskedStore extends MemorySessionStore {
  readonly asked: DeleteExpiredOptions[] = [];
  answer: (options: DeleteExpiredOptions) => Promise<number> = async () => 0;

  override async deleteExpired(options: DeleteExpiredOptions = {}): Promise<number> {
    this.asked.push(options);
    return this.answer(options);
  }
}

class FourMethodStore extends SessionStore {
  load = async () => undefined;
  create = async () => true;
  save = async () => false;
  delete = async () => false;
}

describe('SessionSweeper', () => {
  let logged: string[];
  let events: SessionEvents;
  let store: AskedStore;

  beforeEach(() => {
    jest.useFakeTimers();
    logged = [];
    for (const level of ['debug', 'warn', 'error'] as const) {
      jest
        .spyOn(Logger.prototype, level)
        .mockImplementation((message) => void logged.push(`${level}: ${String(message)}`));
    }
    events = new SessionEvents();
    store = new AskedStore();
  });
  afterEach(() => {
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  /** A sweeper in a started application; `chance` is what Math.random() gives. */
  const start = ({
    sweep,
    chance = 0.5,
    of = store,
  }: { sweep?: SessionSweepOptions | false; chance?: number; of?: SessionStore } = {}): SessionSweeper => {
    jest.spyOn(Math, 'random').mockReturnValue(chance);
    const options = resolveOptions({ secret: 'a secret for tests, of more than 32 characters', sweep });
    const sweeper = new SessionSweeper(of, options, events);
    sweeper.onApplicationBootstrap();
    return sweeper;
  };
  const warnings = () => logged.filter((line) => !line.startsWith('debug'));

  it('sweeps first after a random share of the interval, so that processes do not sweep at once', async () => {
    start({ sweep: { every: '1h' }, chance: 0.25 });
    await jest.advanceTimersByTimeAsync(HOUR / 4 - 1);
    expect(store.asked).toHaveLength(0);
    await jest.advanceTimersByTimeAsync(1);
    expect(store.asked).toHaveLength(1);
  });

  it.each([
    [0, 0.9],
    [0.5, 1],
    [0.75, 1.05],
  ])('sweeps again an interval later, give or take a tenth: at %d', async (chance, share) => {
    start({ sweep: { every: '1h' }, chance });
    await jest.advanceTimersByTimeAsync(chance * HOUR);
    expect(store.asked).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(share * HOUR - 1);
    expect(store.asked).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(store.asked).toHaveLength(2);
  });

  it('begins no sweep while one is under way, however long that takes', async () => {
    let finish: (deleted: number) => void = () => undefined;
    store.answer = () => new Promise((resolve) => (finish = resolve));
    start();
    await jest.advanceTimersByTimeAsync(10 * HOUR);
    expect(store.asked).toHaveLength(1);
    finish(0);
    await jest.advanceTimersByTimeAsync(HOUR);
    expect(store.asked).toHaveLength(2);
  });

  it('works in batches of the size that was asked for, with a pause between two', async () => {
    let batches = 0;
    store.answer = async ({ onProgress }) => {
      for (let n = 1; n <= 3; n++) {
        batches++;
        await onProgress?.(n);
      }
      return 3;
    };
    start({ sweep: { batchSize: 7, pause: '1s' } });
    await jest.advanceTimersByTimeAsync(HOUR / 2);
    expect([store.asked[0].batchSize, batches]).toEqual([7, 1]);
    await jest.advanceTimersByTimeAsync(999);
    expect(batches).toBe(1);
    await jest.advanceTimersByTimeAsync(1_001);
    expect(batches).toBe(3);
  });

  it('clears what is over, and says how many on the debug level', async () => {
    const clock = new FakeClock();
    const memory = new MemorySessionStore(clock);
    const [living, over] = [newKey(), newKey()];
    await memory.create(living, aRecord({ expiresAt: clock.now() + HOUR }));
    await memory.create(over, aRecord({ expiresAt: clock.now() }));
    start({ of: memory });
    await jest.advanceTimersByTimeAsync(HOUR);
    expect(logged).toEqual(['debug: The sweep deleted 1 expired sessions.']);
    expect(await memory.load(living)).toBeDefined();
  });

  it('keeps no process alive: neither by the next sweep nor by a pause', async () => {
    store.answer = async ({ onProgress }) => {
      await onProgress?.(1);
      return 1;
    };
    const unref = jest.fn();
    const fake = globalThis.setTimeout;
    jest
      .spyOn(globalThis, 'setTimeout')
      .mockImplementation(((work: () => void, milliseconds: number) =>
        Object.assign(fake(work, milliseconds), { unref })) as never);
    start();
    expect(unref).toHaveBeenCalledTimes(1);
    await jest.advanceTimersByTimeAsync(HOUR / 2);
    expect(unref).toHaveBeenCalledTimes(2);
  });

  it('does nothing when it is switched off, or when sessions leave by themselves', async () => {
    start({ sweep: false });
    Object.assign(store, { expiresByItself: true });
    start();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('leaves a store alone that has no deleteExpired, and says so on the debug level', async () => {
    start({ of: new FourMethodStore() });
    await jest.advanceTimersByTimeAsync(HOUR);
    expect(logged).toEqual(['debug: The store has no deleteExpired(): expired sessions are not swept.']);
    expect(jest.getTimerCount()).toBe(0);
  });

  describe('when the store fails', () => {
    const KEY = newKey();

    it('warns once for as long as it lasts, tells no secret, and goes on', async () => {
      const told: unknown[] = [];
      events.on('storeFailed', (event) => told.push(event));
      store.answer = () =>
        Promise.reject(Object.assign(new Error(`Duplicate entry '${KEY}' for ${KEY}`), { query: KEY }));
      start();
      await jest.advanceTimersByTimeAsync(3 * HOUR);
      expect(store.asked).toHaveLength(3);
      expect(told).toEqual(Array(3).fill({ operation: 'deleteExpired' }));
      expect(warnings()).toEqual([
        expect.stringMatching(/^warn: The sweep of expired sessions failed, .*Duplicate/),
      ]);
      expect(logged.join()).not.toContain(KEY);
    });

    it('warns anew when it worked in between', async () => {
      const answers = [Promise.reject, Promise.resolve, Promise.reject].map((answer) => answer.bind(Promise));
      store.answer = () => answers.shift()!(new Error('down') as never);
      start();
      await jest.advanceTimersByTimeAsync(3 * HOUR);
      expect(warnings()).toHaveLength(2);
    });

    it('takes a store that throws instead of rejecting', async () => {
      store.answer = () => {
        throw new Error('down');
      };
      start();
      await jest.advanceTimersByTimeAsync(2 * HOUR);
      expect([store.asked.length, warnings().length]).toEqual([2, 1]);
    });
  });

  describe('at a shutdown', () => {
    it('begins no sweep any more', async () => {
      await start().onModuleDestroy();
      await jest.advanceTimersByTimeAsync(2 * HOUR);
      expect(store.asked).toHaveLength(0);
    });

    it('ends after the batch in hand, and is waited for', async () => {
      let finish: () => void = () => undefined;
      const batch = new Promise<void>((resolve) => (finish = resolve));
      store.answer = async ({ signal, onProgress }) => {
        let deleted = 0;
        while (!signal?.aborted) {
          await batch;
          await onProgress?.(++deleted);
        }
        return deleted;
      };
      const sweeper = start({ sweep: { pause: '1h' } });
      await jest.advanceTimersByTimeAsync(HOUR / 2);
      let hasStopped = false;
      const stopping = sweeper.onModuleDestroy().then(() => (hasStopped = true));
      await jest.advanceTimersByTimeAsync(500);
      expect(hasStopped).toBe(false);
      finish();
      await stopping;
      await jest.advanceTimersByTimeAsync(2 * HOUR);
      expect(store.asked).toHaveLength(1);
      expect(jest.getTimerCount()).toBe(0);
    });

    it('wakes from a pause', async () => {
      store.answer = async ({ onProgress }) => {
        await onProgress?.(1);
        return 1;
      };
      const sweeper = start({ sweep: { pause: '1h' } });
      await jest.advanceTimersByTimeAsync(HOUR / 2);
      await sweeper.onModuleDestroy();
      expect(jest.getTimerCount()).toBe(0);
    });

    it('waits for no longer than a second, and does not warn of what fails later', async () => {
      let fail: (error: Error) => void = () => undefined;
      store.answer = () => new Promise((_, reject) => (fail = reject));
      const sweeper = start();
      await jest.advanceTimersByTimeAsync(HOUR / 2);
      let hasStopped = false;
      const stopping = sweeper.onModuleDestroy().then(() => (hasStopped = true));
      await jest.advanceTimersByTimeAsync(999);
      expect(hasStopped).toBe(false);
      await jest.advanceTimersByTimeAsync(1);
      await stopping;
      fail(new Error('The connection is closed.'));
      await jest.advanceTimersByTimeAsync(2 * HOUR);
      expect([store.asked.length, warnings()]).toEqual([1, []]);
    });
  });
});
