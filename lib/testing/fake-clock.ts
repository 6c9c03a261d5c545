import { type EpochMs, SessionClock } from '../core/clock.js';
import { type Duration, durationMs } from '../core/duration.js';

/** A clock that stands still until it is told to go on: `overrideProvider(SessionClock).useValue(new FakeClock())`. */
export class FakeClock extends SessionClock {
  #now: EpochMs;

  /** @param now epoch milliseconds; the moment of the construction by default */
  constructor(now: EpochMs = Date.now()) {
    super();
    this.#now = now;
  }

  now(): EpochMs {
    return this.#now;
  }

  set(now: EpochMs): void {
    this.#now = now;
  }

  /** @param duration seconds, or a text such as '30m' or '14d', as everywhere */
  advance(duration: Duration): void {
    const milliseconds = durationMs(duration);
    if (milliseconds === undefined) throw new TypeError(`${duration} is no duration: write seconds, or '30m'.`);
    this.#now += milliseconds;
  }
}
