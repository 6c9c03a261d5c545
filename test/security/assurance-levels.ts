import type { SessionOptions } from 'nest-session';

/** AAL1: a definite end, after 30 days at most. */
export const AAL1 = {
  absoluteTimeout: '30d',
  idleTimeout: '14d',
} satisfies Partial<SessionOptions>;

/** AAL2: a new login once a day, and after an hour without use. */
export const AAL2 = {
  absoluteTimeout: '24h',
  idleTimeout: '1h',
  cookie: { persistent: false, secure: true },
} satisfies Partial<SessionOptions>;

/** AAL3: a new login after 12 hours, and after 15 minutes without use. */
export const AAL3 = {
  absoluteTimeout: '12h',
  idleTimeout: '15m',
  cookie: { persistent: false, secure: true, sameSite: 'strict' },
} satisfies Partial<SessionOptions>;
