import { type CanActivate, type ExecutionContext, Inject, Injectable, Optional } from '@nestjs/common';
import { SessionOptionsError } from '../errors.js';
import { SESSION_ACCESS } from '../tokens.js';
import type { SessionAccess } from './session-access.js';

/**
 * Lets in who is logged in. `@Authenticated()` brings it along; by itself (`@UseGuards(SessionGuard)`) it guards every
 * route that is not `@Public()`.
 *
 * Refuses with `NOT_AUTHENTICATED`, `SESSION_EXPIRED`, `SECOND_FACTOR_REQUIRED` (401), `REAUTHENTICATION_REQUIRED`,
 * `SECOND_FACTOR_REQUIRED` for a level (403), `SESSION_ROTATED` (409); a page is sent to `auth.loginUrl` instead.
 */
@Injectable()
export class SessionGuard implements CanActivate {
  readonly #access: SessionAccess;

  constructor(@Optional() @Inject(SESSION_ACCESS) access?: SessionAccess) {
    if (!access)
      throw new SessionOptionsError([
        'auth is missing, but a route needs a login: write auth: { users: AppUsers } beside store.',
      ]);
    this.#access = access;
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    return this.#access.judge(context);
  }
}
