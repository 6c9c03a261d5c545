/**
 * A process that cleans when it is told to, and no longer than it is told to; answers with what it did. How often its
 * event loop turns shows how long it would have kept requests waiting.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './connect.js';

let longestStatementMs = 0;
let cleaner;

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
  const signal = AbortSignal.timeout(forMs);
  const onProgress = pauseMs > 0 ? () => sleep(pauseMs) : undefined;
  const deleted = await cleaner.store.deleteExpired({ batchSize, signal, onProgress });
  const milliseconds = performance.now() - began;
  loop.disable();
  process.send({
    deleted,
    milliseconds,
    longestStatementMs,
    longestTurnMs: loop.max / 1e6,
    isDone: !signal.aborted,
  });
}

async function stop() {
  await cleaner.close();
  process.disconnect();
}
