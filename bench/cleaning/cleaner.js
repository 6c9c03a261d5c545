/**
 * A process with one cleaning, that goes on when it is told to, and no longer than it is told to; answers with what it did
 * meanwhile. How often its event loop turns shows how long it would have kept requests waiting.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './connect.js';

let longestStatementMs = 0;
let cleaner;
let cleaning;

process.on('disconnect', () => process.exit()); // nobody asks any more
process.on('message', ({ command, ...rest }) => ({ start, clean, stop })[command](rest));

async function start({ options }) {
  cleaner = await connect(options, 2, (milliseconds) => {
    longestStatementMs = Math.max(longestStatementMs, milliseconds);
  });
  process.send({ ready: true });
}

async function clean({ forMs, batchSize, pauseMs }) {
  longestStatementMs = 0;
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const began = performance.now();
  cleaning ??= new Cleaning(batchSize, pauseMs);
  const { deleted, isDone } = await cleaning.goOnFor(forMs);
  const milliseconds = performance.now() - began;
  loop.disable();
  process.send({ deleted, milliseconds, longestStatementMs, longestTurnMs: loop.max / 1e6, isDone });
}

/** A `deleteExpired` that waits between two batches while it may not go on. */
class Cleaning {
  #deleted = 0;
  #stop = new AbortController();
  #mayGoOn = withResolvers();
  #isStanding = withResolvers();
  #until = 0;

  constructor(batchSize, pauseMs) {
    const onProgress = async (deleted) => {
      this.#deleted = deleted;
      if (pauseMs > 0) await sleep(pauseMs);
      if (performance.now() < this.#until) return;
      this.#isStanding.resolve();
      await this.#mayGoOn.promise;
    };
    this.done = this.#mayGoOn.promise
      .then(() => cleaner.store.deleteExpired({ batchSize, signal: this.#stop.signal, onProgress }))
      .then((deleted) => (this.#deleted = deleted));
  }

  async goOnFor(milliseconds) {
    const before = this.#deleted;
    this.#until = performance.now() + milliseconds;
    this.#isStanding = withResolvers();
    const { resolve } = this.#mayGoOn;
    this.#mayGoOn = withResolvers();
    resolve();
    const isDone = await Promise.race([
      this.done.then(() => true),
      this.#isStanding.promise.then(() => false),
    ]);
    return { deleted: this.#deleted - before, isDone };
  }

  async stop() {
    this.#stop.abort();
    this.#mayGoOn.resolve();
    await this.done;
  }
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function withResolvers() {
  let resolve;
  const promise = new Promise((resolved) => (resolve = resolved));
  return { promise, resolve };
}

async function stop() {
  await cleaning?.stop();
  await cleaner.close();
  process.disconnect();
}
