import type { HttpServer } from '@nestjs/common';
import { SessionUsageError } from '../errors.js';
import { type RawRequest, rememberReply, type ReplyLike, type RequestSessions } from './request-sessions.js';

interface ExpressLike {
  /** The prototype of its requests. */
  readonly request: object;
  readonly router?: { readonly stack?: readonly { readonly handle?: unknown }[] };
}

interface FastifyLike {
  decorateRequest(name: string, accessors: { getter(): unknown; setter(value: unknown): void }): unknown;
  hasRequestDecorator(name: string): boolean;
  addHook(
    name: 'onRequest',
    hook: (request: { raw: RawRequest }, reply: ReplyLike, done: () => void) => void,
  ): unknown;
}

/**
 * Puts `session` on the platform's requests: as a getter on Express's request prototype, and by Fastify's
 * `decorateRequest`. Either costs a request nothing until it asks.
 */
export function installRequestSession(adapter: HttpServer, sessions: RequestSessions): void {
  const platform = adapter.getType();
  const instance: unknown = adapter.getInstance();
  if (platform === 'express') installOnExpress(instance as ExpressLike, sessions);
  else if (platform === 'fastify') installOnFastify(instance as FastifyLike, sessions);
  else throw new SessionUsageError(`nest-session knows Express and Fastify, not ${platform}.`);
}

function installOnExpress(app: ExpressLike, sessions: RequestSessions): void {
  // express-session steps back when it finds a session, and would be there without ever working.
  if (app.router?.stack?.some(({ handle }) => isExpressSession(handle))) refuse();
  Object.defineProperty(app.request, 'session', {
    configurable: true,
    get(this: RawRequest) {
      return sessions.of(this).session;
    },
    set: refuseAssignment,
  });
}

function isExpressSession(handle: unknown): boolean {
  return typeof handle === 'function' && handle.name === 'session' && String(handle).includes('sessionStore');
}

function installOnFastify(instance: FastifyLike, sessions: RequestSessions): void {
  if (instance.hasRequestDecorator('session')) refuse();
  instance.decorateRequest('session', {
    getter(this: { raw: RawRequest }) {
      return sessions.of(this.raw).session;
    },
    setter: refuseAssignment,
  });
  instance.addHook('onRequest', (request, reply, done) => {
    rememberReply(request.raw, reply);
    done();
  });
}

/** cookie-session ends a session by `request.session = null`; whoever assigns something else brings a session. */
function refuseAssignment(value: unknown): never {
  if (value !== null && value !== undefined) return refuse();
  throw new SessionUsageError(
    "request.session can't be taken away: write await session.flush() to end the session, or await auth.logout(session).",
  );
}

function refuse(): never {
  throw new SessionUsageError(
    'Another session library claims request.session: remove express-session, cookie-session, @fastify/session or ' +
      '@fastify/secure-session where nest-session is used.',
  );
}
