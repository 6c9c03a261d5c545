import type { SessionEvents } from './session-events.js';

/** Tells, once, that `setExpiry()` asked for more than the session can get. */
export function warnBeyondAbsolute(events: SessionEvents): void {
  const message =
    'setExpiry() asked for more than absoluteTimeout allows: the session ends at the absolute deadline.';
  events.warnOnce('beyondAbsolute', message);
}
