import type { SessionSweepOptions } from '../session-options.js';
import { type Duration, durationMs } from '../core/duration.js';

/** How expired sessions are cleared in the background. */
export interface ResolvedSweepOptions {
  readonly everyMs: number;
  readonly batchSize: number;
  readonly pauseMs: number;
}

const KNOWN = ['every', 'batchSize', 'pause'];

/** Timers of Node end at 24.8 days, and take what is longer for one millisecond. */
const MAX_TIMER_MS = 20 * 24 * 60 * 60_000;

export function resolveSweep(
  sweep: SessionSweepOptions | false,
  problems: string[],
): ResolvedSweepOptions | false {
  if (sweep === false) return false;
  if (typeof sweep !== 'object') {
    problems.push("sweep is false, or an object: write { every: '1h' }, or leave it out.");
    return false;
  }
  for (const name of Object.keys(sweep)) {
    if (!KNOWN.includes(name))
      problems.push(`sweep.${name} is not an option: the options are ${KNOWN.join(', ')}.`);
  }
  const { every = '1h', batchSize = 1_000, pause = '50ms' } = sweep;
  const everyMs = timerMs('every', every, problems);
  if (everyMs === 0)
    problems.push("sweep.every is no time at all: write '1h', or sweep: false for no sweep.");
  if (!isBatchSize(batchSize)) problems.push('sweep.batchSize is a number of sessions: write 1000.');
  return Object.freeze({ everyMs, batchSize, pauseMs: timerMs('pause', pause, problems) });
}

export function isBatchSize(batchSize: number): boolean {
  return Number.isInteger(batchSize) && batchSize > 0;
}

function timerMs(name: string, duration: Duration, problems: string[]): number {
  const milliseconds = durationMs(duration);
  if (milliseconds === undefined) {
    const instead = "write seconds as a number, or a text with a unit such as '30m'";
    problems.push(`sweep.${name} is no duration: ${instead}.`);
  } else if (milliseconds > MAX_TIMER_MS) {
    problems.push(`sweep.${name} is longer than timers go: write '20d' or less.`);
  }
  return milliseconds ?? NaN;
}
