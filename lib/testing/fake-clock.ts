import { type EpochMs, SessionClock } from '../core/clock.js';
import { type Duration, durationMs } from '../core/duration.js';

/**
 * A clock that moves when you say so: `overrideProvider(SessionClock).useValue(new FakeClock())`. It starts at the
 * machine's time, and stands still.
 *
 * @example
 * clock.advance('14d'); // the idle timeout is over, and no test slept
 */
export class FakeClock extends SessionClock {
  #now: EpochMs;

  /** @param now epoch milliseconds */
  constructor(now: EpochMs = Date.now()) {
    super();
    this.#now = now;
  }

  now(): EpochMs {
    return this.#now;
  }

  /** @param now epoch milliseconds; back in time too, as a machine's clock may go */
  set(now: EpochMs): void {
    this.#now = now;
  }

  /** @param duration seconds, or a text with a unit: `'90s'`, `'30m'`, `'14d'`, `'20ms'` */
  advance(duration: Duration): void {
    const milliseconds = durationMs(duration);
    if (milliseconds === undefined) {
      throw new TypeError("FakeClock.advance() takes seconds, or a text with a unit such as '30m'.");
    }
    this.#now += milliseconds;
  }
}
