import type { SessionData } from '../core/session.js';
import type { Session } from './session.decorator.js';

/**
 * A request of Express or Fastify, with the session that this package puts on it: for guards, interceptors and
 * middleware, which get no `@Session()`.
 *
 * @typeParam Request the platform's: `Request` of express, `FastifyRequest` of fastify
 * @typeParam T the session's values, if they are other than `SessionData`
 * @example
 * async canActivate(context: ExecutionContext) {
 *   const { session } = context.switchToHttp().getRequest<WithSession<Request>>();
 *   await session.load(); // nothing has asked for it before a guard
 *   return session.has('cart');
 * }
 */
export type WithSession<Request extends object, T extends object = SessionData> = Request & {
  readonly session: Session<T>;
};
