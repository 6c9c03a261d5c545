import type { HttpServer } from '@nestjs/common';
import { SessionOptionsError, SessionUsageError } from '../errors.js';
import type { EagerLoad } from './eager-load.js';
import { addFirstHook, type FastifyHooks, type OnRequest } from './fastify-hooks.js';
import { type RawRequest, rememberReply, type RequestSessions } from './request-sessions.js';

interface Layer {
  readonly handle?: { readonly name?: string; readonly stack?: readonly Layer[] };
}

type ExpressMiddleware = (request: RawRequest, response: unknown, next: (error?: Error) => void) => void;

interface ExpressLike {
  /** The prototype of its requests. */
  readonly request: object;
  readonly router?: { readonly stack?: Layer[] };
  use(middleware: ExpressMiddleware): unknown;
}

interface FastifyLike extends FastifyHooks {
  decorateRequest(name: string, accessors: { getter(): unknown; setter(value: unknown): void }): unknown;
  hasRequestDecorator(name: string): boolean;
}

/** Where a platform's instance says whose `request.session` is; both builds of the package look here. */
const CLAIM: unique symbol = Symbol.for('nest-session.Claim') as never;

type Claimed = { [CLAIM]?: RequestSessions };

/**
 * Puts `session` on the platform's requests: as a getter on Express's request prototype, and by Fastify's
 * `decorateRequest`, and on the raw request that its middleware sees. Any costs a request nothing until it asks.
 *
 * @param eager loads it before all others see the request; undefined: who needs it asks
 * @returns gives the instance free again, for after the shutdown
 * @throws SessionOptionsError when another application has sessions on the same instance: a request does not tell whose
 * it is, and a guard of one would see who is logged in at the other
 * @throws SessionUsageError when another library claims `request.session`
 */
export function installRequestSession(
  adapter: HttpServer,
  sessions: RequestSessions,
  eager: EagerLoad | undefined,
): () => void {
  const platform = adapter.getType();
  const instance: unknown = adapter.getInstance();
  if (platform === 'express') return installOnExpress(instance as ExpressLike, sessions, eager);
  if (platform === 'fastify') return installOnFastify(instance as FastifyLike, sessions, eager);
  throw new SessionUsageError(`nest-session knows Express and Fastify, not ${platform}.`);
}

function installOnExpress(
  app: ExpressLike,
  sessions: RequestSessions,
  eager: EagerLoad | undefined,
): () => void {
  // express-session steps back when it finds a session, and would be there without ever working.
  if (app.router?.stack?.some(isExpressSession))
    refuse('express-session is there, by app.use() or in a Router. ');
  // Own, as an application that is mounted in another inherits from its requests.
  const release = claim(app.request, sessions);
  Object.defineProperty(app.request, 'session', {
    configurable: true,
    get(this: RawRequest) {
      return sessions.of(this).session;
    },
    set: refuseAssignment,
  });
  if (eager) useFirst(app, (request, _, next) => eager(request, next));
  return () => {
    release();
    delete (app.request as { session?: unknown }).session;
  };
}

/** Before what main.ts gave to `app.use()`: that is there before a module can say a word. */
function useFirst(app: ExpressLike, middleware: ExpressMiddleware): void {
  app.use(middleware);
  const stack = app.router?.stack;
  const index = stack?.findIndex(({ handle }) => handle === middleware) ?? -1;
  if (stack && index > 0) stack.unshift(...stack.splice(index, 1));
}

/** In a Router, too, however deep. */
function isExpressSession({ handle }: Layer): boolean {
  if (typeof handle !== 'function') return false;
  const { name, stack } = handle as NonNullable<Layer['handle']>;
  return (
    (name === 'session' && String(handle).includes('sessionStore')) ||
    (Array.isArray(stack) && (stack as Layer[]).some(isExpressSession))
  );
}

function installOnFastify(
  instance: FastifyLike,
  sessions: RequestSessions,
  eager: EagerLoad | undefined,
): () => void {
  const release = claim(instance, sessions);
  if (instance.hasRequestDecorator('session')) refuse();
  instance.decorateRequest('session', {
    getter(this: { raw: RawRequest }) {
      return sessions.of(this.raw).session;
    },
    setter: refuseAssignment,
  });
  const onRaw: PropertyDescriptor & ThisType<RawRequest> = {
    configurable: true,
    get() {
      return sessions.of(this).session;
    },
    set: refuseAssignment,
  };
  const onRequest: OnRequest = ({ raw }, reply, done) => {
    rememberReply(raw, reply);
    Object.defineProperty(raw, 'session', onRaw);
    if (eager) eager(raw, done);
    else done();
  };
  addFirstHook(instance, onRequest);
  return release;
}

/** @returns gives it free again */
function claim(requests: object, sessions: RequestSessions): () => void {
  const claimed = requests as Claimed;
  const claimant = Object.hasOwn(claimed, CLAIM) ? claimed[CLAIM] : undefined;
  if (claimant && claimant !== sessions)
    throw new SessionOptionsError([
      'Two applications with SessionModule are on one Express or Fastify instance, where a request does not tell whose ' +
        'session it is: give each an instance of its own, and mount one in the other (app.use("/admin", other)).',
    ]);
  claimed[CLAIM] = sessions;
  return () => {
    if (claimed[CLAIM] === sessions) delete claimed[CLAIM];
  };
}

/** cookie-session ends a session by `request.session = null`; whoever assigns something else brings a session. */
function refuseAssignment(value: unknown): never {
  if (value !== null && value !== undefined) return refuse();
  throw new SessionUsageError(
    "request.session can't be taken away: write await session.flush() to end the session, or await auth.logout(session).",
  );
}

function refuse(where = ''): never {
  throw new SessionUsageError(
    `${where}Another session library claims request.session: remove express-session, cookie-session, @fastify/session or ` +
      '@fastify/secure-session where nest-session is used.',
  );
}
