import { type ModuleMetadata, type Provider, Scope } from '@nestjs/common';
import { SessionOptionsError } from '../errors.js';
import {
  RESOLVED_AUTH_OPTIONS,
  RESOLVED_SESSION_OPTIONS,
  SESSION_ACCESS,
  SESSION_USER_SOURCE,
  SESSION_USERS,
} from '../tokens.js';
import type { SessionAuthOptions, SessionUsersOption } from './auth-options.js';
import type { ResolvedAuthOptions } from './resolve-auth-options.js';
import { SessionAccess } from './session-access.js';
import { SessionAuth } from './session-auth.js';
import { SessionGuard } from './session.guard.js';

/** What the session module provides where logins are configured. */
export function authProviders(auth: SessionAuthOptions, resolved: ResolvedAuthOptions): Provider[] {
  return [
    // Asks for the options of the module first: wrong ones are told before anything fails by them.
    { provide: RESOLVED_AUTH_OPTIONS, useFactory: () => resolved, inject: [RESOLVED_SESSION_OPTIONS] },
    ...usersProviders(auth.users),
    SessionAuth,
    SessionAccess,
    SessionGuard,
    // Aliases that follow the classes, so that whoever overrides a class overrides what the framework uses.
    { provide: SESSION_USER_SOURCE, useExisting: SessionAuth },
    { provide: SESSION_ACCESS, useExisting: SessionAccess },
  ];
}

export const AUTH_EXPORTS: NonNullable<ModuleMetadata['exports']> = [
  SessionAuth,
  SESSION_ACCESS,
  SESSION_USERS,
  RESOLVED_AUTH_OPTIONS,
];

/**
 * Stands for `SessionAuth` where logins are not configured: Nest would say that a provider is missing, and not which
 * option. Transient, so that it is asked for only by who injects it.
 */
export const AUTH_IS_MISSING: Provider = {
  provide: SessionAuth,
  scope: Scope.TRANSIENT,
  useFactory: () => {
    throw new SessionOptionsError([
      'auth is missing, but SessionAuth is injected: write auth: { users: AppUsers } beside store.',
    ]);
  },
};

/** The class is provided under its own name too, so that a test can override it. */
function usersProviders(users: SessionUsersOption | undefined): Provider[] {
  // Without users the options complain, together with all else that is wrong with them.
  if (users === undefined)
    return [{ provide: SESSION_USERS, useFactory: () => undefined, inject: [RESOLVED_SESSION_OPTIONS] }];
  if (typeof users === 'function') return [users, { provide: SESSION_USERS, useExisting: users }];
  return [{ provide: SESSION_USERS, ...users } as Provider];
}
