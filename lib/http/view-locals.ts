import type { Session } from '../core/session.js';
import type { RequestSession } from './request-session.js';
import { sessionForViews } from './view-session.js';

/** What was put into locals: where one application is mounted in another, they come by twice. */
const ours = new WeakSet<object>();
const ordinary = { enumerable: true, configurable: true, writable: true };

/** Shows the session to templates: in `res.locals` of Express, in `reply.locals` of @fastify/view. */
export function showToViews(response: object, session: Session): void {
  const locals = localsWithout('session', response);
  if (!locals) return;
  const value = sessionForViews(session as unknown as Session<Record<string, unknown>>);
  ours.add(value);
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
  const get = () => {
    void request.load(); // asked for; there is nothing to wait for
    return request.knownUser;
  };
  ours.add(get);
  Object.defineProperty(locals, 'user', {
    get,
    set: (user: unknown) => Object.defineProperty(locals, 'user', { ...ordinary, value: user }),
    enumerable: true,
    configurable: true,
  });
}

/** The locals of a response, unless it has none or somebody else put something there. */
function localsWithout(name: string, response: object): object | undefined {
  const { locals } = response as { locals?: unknown };
  if (typeof locals !== 'object' || locals === null) return undefined;
  if (!(name in locals)) return locals;
  const there = Object.getOwnPropertyDescriptor(locals, name);
  return ours.has(Object(there?.get ?? there?.value) as object) ? locals : undefined;
}
