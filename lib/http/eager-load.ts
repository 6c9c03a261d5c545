import type { ServerResponse } from 'node:http';
import type { RawRequest, RequestSessions } from './request-sessions.js';

/**
 * `load: 'eager'`: a middleware that loads the session before guards, Passport and whatever else looks at `request.session`
 * without waiting. The store is asked for requests with a valid cookie only. On Fastify it puts `session` on the raw request too, which is
 * the one that middleware sees.
 */
export function eagerLoad(sessions: RequestSessions) {
  return (raw: RawRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    const session = sessions.of(raw, response);
    if (!('session' in raw))
      Object.defineProperty(raw, 'session', { value: session.session, configurable: true });
    Promise.resolve(session.loadForView()).then(() => next(), next);
  };
}
