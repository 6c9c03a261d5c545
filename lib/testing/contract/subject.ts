import { type EpochMs, type SessionClock, systemClock } from '../../core/clock.js';
import type { SessionStore } from '../../stores/session-store.js';
import { FakeClock } from '../fake-clock.js';
import type { StoreLack } from './lacks.js';

/** The four functions of a test runner that the suite needs: Jest's, Vitest's, or those of `node:test`. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
  beforeEach(body: () => Promise<void>): unknown;
  afterEach(body: () => Promise<void>): unknown;
}

/** What a store under test is made with. */
export interface StoreContext {
  /** The time by which the store has to judge deadlines; a {@link FakeClock}, unless its `time` is 'server'. */
  readonly clock: SessionClock;
}

/** Opens a store for one test; the suite closes it. It need not be empty. */
export type OpenStore = (context: StoreContext) => SessionStore | Promise<SessionStore>;

export interface StoreContractOptions {
  /** What the store says that it lacks. What it lacks and does not say is a failing test. */
  readonly lacks?: readonly StoreLack[];
  /** Opens a second handle on the data of the store in hand, as another process has: parallel work uses both. */
  readonly openAnother?: OpenStore;
  /** Makes the store's backing service fail, until the end of the test: every method must reject then. */
  readonly breakIt?: (store: SessionStore) => Promise<void>;
  /** ['clock'] `server`: deadlines are judged by another machine's clock, so that the suite waits some milliseconds. */
  readonly time?: 'clock' | 'server';
  /** [false] What expires leaves by itself, so that `deleteExpired` has nothing to do (`store.expiresByItself`). */
  readonly expiresByItself?: boolean;
}

/** A deadline that a test waits for: long enough to do something before it on a slow server. */
const SOON_MS = 200;

/** The store of the test in hand, and what the suite may ask of it. */
export class Subject {
  /** The store and, if there is one, the second handle on the same data. */
  stores: readonly SessionStore[] = [];
  clock: SessionClock = systemClock;
  #isBroken = false;

  constructor(
    private readonly open: OpenStore,
    readonly options: StoreContractOptions,
  ) {}

  get store(): SessionStore {
    return this.stores[0];
  }

  has(capability: StoreLack): boolean {
    return !this.options.lacks?.includes(capability);
  }

  async start(): Promise<void> {
    const { time, openAnother } = this.options;
    this.clock = time === 'server' ? systemClock : new FakeClock();
    this.#isBroken = false;
    this.stores = [await this.open(this)];
    if (openAnother) this.stores = [this.store, await openAnother(this)];
  }

  async stop(): Promise<void> {
    const closed = await Promise.allSettled(this.stores.map((store) => store.close()));
    const failed = closed.find((outcome) => outcome.status === 'rejected');
    if (failed && !this.#isBroken) throw failed.reason;
  }

  async break(): Promise<void> {
    this.#isBroken = true;
    await this.options.breakIt?.(this.store);
  }

  /** A moment from now that {@link waitForIt} waits for. */
  soon(): EpochMs {
    return this.clock.now() + SOON_MS;
  }

  /** Lets time go by: what was `soon` is now. */
  async waitForIt(): Promise<void> {
    if (this.clock instanceof FakeClock) return this.clock.set(this.clock.now() + SOON_MS);
    const until = this.soon();
    while (this.clock.now() < until)
      await new Promise((resolve) => setTimeout(resolve, until - this.clock.now()));
  }

  /** Does things at once, dealt out over all handles. */
  async parallel<T>(times: number, work: (store: SessionStore, index: number) => Promise<T>): Promise<T[]> {
    const all = Array.from({ length: times }, (_, index) =>
      work(this.stores[index % this.stores.length], index),
    );
    return Promise.all(all);
  }
}
