import type { Session } from '../core/session.js';
import type { RequestSession } from './request-session.js';
import { sessionForViews } from './view-session.js';

const ordinary = { enumerable: true, configurable: true, writable: true };

/** Shows the session to templates: in `res.locals` of Express, in `reply.locals` of @fastify/view. */
export function showToViews(response: object, session: Session): void {
  const locals = localsWithout('session', response);
  if (!locals) return;
  const value = sessionForViews(session as unknown as Session<Record<string, unknown>>);
  Object.defineProperty(locals, 'session', { ...ordinary, value });
}

/**
 * Shows the user beside it: who is logged in when the template is rendered, if loaded by then; undefined for nobody. The
 * platforms copy the locals before an engine sees them, so that a page with users is one that asked who is there: had the
 * first visitor's answer no `Vary`, a cache would give it to who is logged in.
 */
export function showUserToViews(response: object, request: RequestSession): void {
  const locals = localsWithout('user', response);
  if (!locals) return;
  if (!request.hasUsers) return void Object.defineProperty(locals, 'user', { ...ordinary, value: undefined });
  Object.defineProperty(locals, 'user', {
    get: () => {
      void request.load(); // asked for; there is nothing to wait for
      return request.knownUser;
    },
    set: (user: unknown) => Object.defineProperty(locals, 'user', { ...ordinary, value: user }),
    enumerable: true,
    configurable: true,
  });
}

/** The locals of a response, unless it has none or the application put something of its own there. */
function localsWithout(name: string, response: object): object | undefined {
  const { locals } = response as { locals?: unknown };
  return typeof locals === 'object' && locals !== null && !(name in locals) ? locals : undefined;
}
