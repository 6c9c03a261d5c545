import { type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { SessionClock } from '../core/clock.js';
import { provedAt } from '../core/login-values.js';
import {
  LevelRequiredException,
  ReauthenticationRequiredException,
  SecondFactorRequiredException,
  SessionUsageError,
} from '../errors.js';
import { type RejectReason, SessionEvents, subjectOf } from '../events/session-events.js';
import type { RequestSession } from '../http/request-session.js';
import { type RawRequest, RequestSessions } from '../http/request-sessions.js';
import { RESOLVED_AUTH_OPTIONS, SESSION_CLOCK } from '../tokens.js';
import { type AccessRule, combine, markOn } from './access-rule.js';
import { type LoginReason, loginPageFor } from './login-page.js';
import type { ResolvedAuthOptions } from './resolve-auth-options.js';
import { nobody, SessionAuth } from './session-auth.js';

/** The request of a platform: Express's, which is Node's own, or Fastify's. */
type PlatformRequest = RawRequest & { raw?: RawRequest; user?: unknown };

/** Who has put the user on a request: it may come by two applications, where one is mounted in the other. */
const admitters = new WeakMap<object, SessionAccess>();

/** Judges whether a request may come to a route. */
@Injectable()
export class SessionAccess {
  readonly #rules = new WeakMap<object, WeakMap<object, AccessRule>>();

  constructor(
    @Inject(RequestSessions) private readonly sessions: RequestSessions,
    @Inject(SessionAuth) private readonly auth: SessionAuth,
    @Inject(RESOLVED_AUTH_OPTIONS) private readonly options: ResolvedAuthOptions,
    @Inject(SESSION_CLOCK) private readonly clock: SessionClock,
    @Inject(SessionEvents) private readonly events: SessionEvents,
  ) {}

  /**
   * @returns true, at once where everything is known by now
   * @throws what says why not, with the login page to go to
   */
  judge(context: ExecutionContext): true | Promise<true> {
    const rule = this.#ruleOf(context);
    if (rule === 'public') return true;
    const request = requestOf(context);
    const session = this.sessions.of(request.raw ?? request);
    const loading = session.load();
    return loading
      ? loading.then(() => this.#judge(session, request, rule))
      : this.#judge(session, request, rule);
  }

  #judge(
    session: RequestSession,
    request: PlatformRequest,
    rule: Exclude<AccessRule, 'public'>,
  ): true | Promise<true> {
    const user = this.auth.userOf(session);
    return user instanceof Promise
      ? user.then((loaded) => this.#admit(session, request, rule, loaded))
      : this.#admit(session, request, rule, user);
  }

  #admit(
    session: RequestSession,
    request: PlatformRequest,
    rule: Exclude<AccessRule, 'public'>,
    user: unknown,
  ): true {
    const { level, withinMs } = rule;
    const auth = session.state?.auth;
    const { loginUrl, confirmUrl, secondFactorUrl } = this.#pagesFor(rule);
    if (user === undefined || !auth)
      throw this.#told(session, this.#refusal(session, loginUrl, secondFactorUrl));
    const at = provedAt(auth, level);
    if (at === undefined) {
      const page = this.#page(session, secondFactorUrl, 'second-factor');
      throw this.#told(session, new LevelRequiredException(level, page));
    }
    if (this.clock.now() - at > withinMs)
      throw this.#told(
        session,
        new ReauthenticationRequiredException(this.#page(session, confirmUrl, 'confirm')),
      );
    // Where guards of roles look for it; what the guard of another application has put there is none of ours.
    if (admitters.get(request) !== this)
      request.user = admitters.has(request) ? user : (request.user ?? user);
    admitters.set(request, this);
    return true;
  }

  /** Lets who watches know; a request with an id that was just replaced is none that was turned away. */
  #told(session: RequestSession, refusal: Error & { code?: string }): Error {
    const { code } = refusal;
    const { stored } = session.state ?? {};
    if (code !== undefined && code !== 'SESSION_ROTATED')
      this.events.emit('rejected', {
        ...(stored && subjectOf(stored.record)),
        reason: code as RejectReason,
      });
    return refusal;
  }

  /** The pages that a refused visitor of a route is sent to; a page that has no other one is the login page. */
  #pagesFor(rule: Exclude<AccessRule, 'public'>) {
    const { loginUrl = this.options.loginUrl } = rule;
    const { secondFactorUrl = loginUrl, confirmUrl = loginUrl } = this.options;
    return { loginUrl, secondFactorUrl, confirmUrl };
  }

  #refusal(
    session: RequestSession,
    loginUrl: string | undefined,
    secondFactorUrl: string | undefined,
  ): Error {
    const presence = session.state?.presence;
    if (this.auth.isPending(session))
      return new SecondFactorRequiredException(this.#page(session, secondFactorUrl, 'second-factor'));
    const hasEnded = presence === 'dead' || presence === 'ended';
    return nobody(session, this.#page(session, loginUrl, hasEnded ? 'expired' : undefined));
  }

  #page(session: RequestSession, url: string | undefined, reason: LoginReason | undefined) {
    return loginPageFor(session.request, url, reason);
  }

  #ruleOf(context: ExecutionContext): AccessRule {
    const [controller, handler] = [context.getClass(), context.getHandler()];
    const known = this.#rules.get(controller)?.get(handler);
    if (known !== undefined) return known;
    const rule = combine(markOn(handler), markOn(controller));
    const rules = this.#rules.get(controller) ?? new WeakMap<object, AccessRule>();
    this.#rules.set(controller, rules.set(handler, rule));
    return rule;
  }
}

function requestOf(context: ExecutionContext): PlatformRequest {
  const type = context.getType<string>();
  if (type === 'http') return context.getArgByIndex<PlatformRequest>(0);
  // GraphQL over HTTP: what the driver puts into the context.
  const { req, request = req } = Object(context.getArgByIndex<unknown>(2)) as Record<string, PlatformRequest>;
  if (type === 'graphql' && request) return request;
  throw new SessionUsageError(
    `SessionGuard guards HTTP requests, and GraphQL with the request in its context; this is ${type}.`,
  );
}
