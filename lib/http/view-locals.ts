import type { Session } from '../core/session.js';

/** Shows the session to templates: in `res.locals` of Express, in `reply.locals` of @fastify/view. */
export function showToViews(response: object, session: Session): void {
  const { locals } = response as { locals?: unknown };
  if (typeof locals !== 'object' || locals === null || 'session' in locals) return;
  Object.defineProperty(locals, 'session', {
    value: session,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}
