import type { HttpServer } from '@nestjs/common';
import { SessionUsageError } from '../errors.js';
import { type RawRequest, rememberReply, type ReplyLike, type RequestSessions } from './request-sessions.js';

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
  if (platform === 'express') installOnExpress((instance as { request: object }).request, sessions);
  else if (platform === 'fastify') installOnFastify(instance as FastifyLike, sessions);
  else throw new SessionUsageError(`nest-session knows Express and Fastify, not ${platform}.`);
}

function installOnExpress(prototype: object, sessions: RequestSessions): void {
  Object.defineProperty(prototype, 'session', {
    configurable: true,
    get(this: RawRequest) {
      return sessions.of(this).session;
    },
    set: refuse,
  });
}

function installOnFastify(instance: FastifyLike, sessions: RequestSessions): void {
  if (instance.hasRequestDecorator('session')) refuse();
  instance.decorateRequest('session', {
    getter(this: { raw: RawRequest }) {
      return sessions.of(this.raw).session;
    },
    setter: refuse,
  });
  instance.addHook('onRequest', (request, reply, done) => {
    rememberReply(request.raw, reply);
    done();
  });
}

function refuse(): never {
  throw new SessionUsageError(
    'Another session library claims request.session: remove express-session, cookie-session, @fastify/session or ' +
      '@fastify/secure-session where nest-session is used.',
  );
}
