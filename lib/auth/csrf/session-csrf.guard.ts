import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { ResolvedSessionOptions } from '../../options/resolve-options.js';
import { SessionCsrfException } from '../../errors.js';
import { type SessionEvent, SessionEvents, subjectOf } from '../../events/session-events.js';
import type { RequestSession } from '../../http/request-session.js';
import { type RawRequest, RequestSessions } from '../../http/request-sessions.js';
import { RESOLVED_SESSION_OPTIONS } from '../../tokens.js';
import { CSRF_EXEMPT } from './csrf-exempt.decorator.js';
import { CsrfTokens } from '../../crypto/csrf-tokens.js';
import { requestOrigin } from './request-origin.js';

/** RFC 9110, 9.2.1: these change nothing that a stranger could want changed. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** A request of the platform; on Fastify it wraps the raw one. */
type PlatformRequest = RawRequest & { readonly raw?: RawRequest; readonly body?: unknown };

/**
 * Refuses what another origin's page makes a visitor's browser do: a request with an unsafe method that carries a
 * session cookie of ours. Judged by headers alone, so that no session is loaded and the answer does not vary. Guards
 * every route with `csrf: true`, or those that `@UseGuards(SessionCsrfGuard)` names.
 */
@Injectable()
export class SessionCsrfGuard implements CanActivate {
  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(RESOLVED_SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
    @Inject(RequestSessions) private readonly sessions: RequestSessions,
    @Inject(CsrfTokens) private readonly tokens: CsrfTokens,
    @Inject(SessionEvents) private readonly events: SessionEvents,
  ) {}

  /** @throws SessionCsrfException */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    if (context.getType() !== 'http') return true;
    const request = context.getArgByIndex<PlatformRequest>(0);
    const raw = request.raw ?? request;
    if (SAFE_METHODS.has(raw.method ?? '') || this.#isExempt(context)) return true;

    const { trustedOrigins, everyone, requireToken } = this.options.csrf;
    switch (requestOrigin(raw.headers, trustedOrigins)) {
      case 'own':
        return true;
      case 'foreign':
        // The cookie of a session that is no more counts too: to know better, the store would have to be asked.
        if (everyone || this.sessions.of(raw).hasValidCookie) throw this.#told(new SessionCsrfException());
        return true;
      case 'unknown':
        return !requireToken || this.#checkToken(this.sessions.of(raw), tokenOf(request));
    }
  }

  /**
   * A session that is no more has nothing to protect. Of several living ones none is believed, but a logout would end
   * them all.
   */
  #checkToken(session: RequestSession, token: unknown): true | Promise<true> {
    if (!session.hasValidCookie) return true;
    return Promise.resolve(session.load()).then(() => {
      const { presence = 'nothing', csrfBinding = '' } = session.state ?? {};
      const isAtRisk = presence === 'living' || presence === 'ambiguous';
      if (!isAtRisk || (presence === 'living' && this.tokens.verify(token, csrfBinding))) return true;
      const refusal = new SessionCsrfException('The form is out of date: load its page again.');
      throw this.#told(refusal, session.state?.stored?.record);
    });
  }

  /** Lets who watches know. */
  #told(refusal: SessionCsrfException, about?: SessionEvent): SessionCsrfException {
    this.events.emit('rejected', { ...(about && subjectOf(about)), reason: refusal.code });
    return refusal;
  }

  #isExempt(context: ExecutionContext): boolean {
    const places = [context.getHandler(), context.getClass()];
    return this.reflector.getAllAndOverride<boolean | undefined>(CSRF_EXEMPT, places) ?? false;
  }
}

/** Both platforms parse JSON and forms before guards run, but no multipart: the header is for that. */
function tokenOf({ headers, body }: PlatformRequest): unknown {
  return headers['x-csrf-token'] ?? (body as { _csrf?: unknown } | null | undefined)?._csrf;
}
