import type { SessionEvents } from './session-events.js';

/** Tells, once an hour at most, of cookies under our name that we did not make. Nothing of them is told. */
export function warnOfForeignCookie(events: SessionEvents, name: string): void {
  const message =
    `A cookie called ${name} came that this application did not sign, and was not believed. If visitors lose their ` +
    'sessions, check that all processes have the same secret, that a replaced one still stands in the array ' +
    '(secret: [new, old]), and that no other application of this domain has a cookie of that name.';
  events.warnSometimes('foreign cookie', message);
}
