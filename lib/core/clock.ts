/** Milliseconds since 1970-01-01T00:00:00Z, as `Date.now()` gives them. */
export type EpochMs = number;

/**
 * What time it is, for every deadline of the module. A provider, so that a test can stand still or jump years:
 * `overrideProvider(SessionClock).useValue(new FakeClock())` (from `nest-session/testing`).
 */
export abstract class SessionClock {
  abstract now(): EpochMs;
}

/** The clock of the machine. */
export class SystemClock extends SessionClock {
  now(): EpochMs {
    return Date.now();
  }
}

export const systemClock: SessionClock = new SystemClock();
