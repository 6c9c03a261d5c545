import type { Session } from '../core/session.js';

const ordinary = { enumerable: true, configurable: true, writable: true };

/** Shows the session to templates: in `res.locals` of Express, in `reply.locals` of @fastify/view. */
export function showToViews(response: object, session: Session): void {
  const { locals } = response as { locals?: unknown };
  if (typeof locals !== 'object' || locals === null || 'session' in locals) return;
  Object.defineProperty(locals, 'session', { ...ordinary, value: session });
}

/** Shows the user beside it: who is logged in when the template is rendered, if loaded by then. */
export function showUserToViews(response: object, request: { readonly knownUser: unknown }): void {
  const { locals } = response as { locals?: unknown };
  if (typeof locals !== 'object' || locals === null || 'user' in locals) return;
  Object.defineProperty(locals, 'user', {
    get: () => request.knownUser,
    set: (user: unknown) => Object.defineProperty(locals, 'user', { ...ordinary, value: user }),
    enumerable: true,
    configurable: true,
  });
}
