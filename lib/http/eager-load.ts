import type { RawRequest, RequestSessions } from './request-sessions.js';

/**
 * `load: 'eager'`: loads the session before middleware, guards, Passport and whatever else looks at `request.session`
 * without waiting. The store is asked for requests with a valid cookie only.
 */
export function eagerLoad(sessions: RequestSessions) {
  return (raw: RawRequest, next: (error?: Error) => void): void => {
    Promise.resolve(sessions.of(raw).loadForView()).then(() => next(), next);
  };
}

/** Whoever comes after it finds the session loaded, or the request failed. */
export type EagerLoad = ReturnType<typeof eagerLoad>;
