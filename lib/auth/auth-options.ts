import type { ModuleMetadata, Type } from '@nestjs/common';
import type { Duration } from '../core/duration.js';

/**
 * What the framework asks your application of its users. Give the class to `SessionModule.forRoot({ auth: { users } })`;
 * it may inject what it needs.
 *
 * @example
 * class AppUsers implements SessionUserProvider<User> {
 *   constructor(@InjectRepository(User) private readonly users: Repository<User>) {}
 *   findById(id: string) { return this.users.findOneBy({ id }); }
 *   idOf(user: User) { return user.id; }
 *   isActive(user: User) { return !user.disabled; }
 *   authHash(user: User) { return user.passwordHash; }
 * }
 */
export interface SessionUserProvider<User = unknown> {
  /**
   * Asked at most once per request, and only where somebody wants the user.
   *
   * @returns nothing when there is no such user any more: the session ends
   */
  findById(id: string): User | undefined | null | Promise<User | undefined | null>;

  /** The id that `findById` finds the user by: at most 255 characters as text, the same for ever. */
  idOf(user: User): string | number;

  /** Whether the user may be logged in; false ends each of their sessions at its next request. */
  isActive?(user: User): boolean | Promise<boolean>;

  /**
   * What a session shall not outlive: usually the hash of the password, or a stamp that changes with every factor. It
   * is kept in the session as an HMAC under the module's secret. When it changes, sessions end at their next request,
   * all but the one that `refresh()` is called for.
   */
  authHash?(user: User): string | undefined | null | Promise<string | undefined | null>;

  /** Sessions that were logged in before end at their next request: 'log out everywhere', also without a store. */
  sessionsValidAfter?(user: User): Date | undefined | null | Promise<Date | undefined | null>;
}

/** The user provider: a class that the session module provides, or a Nest provider without its `provide`. */
export type SessionUsersOption =
  | Type<SessionUserProvider>
  | { useClass: Type<SessionUserProvider> }
  | { useExisting: unknown }
  | { useValue: SessionUserProvider }
  | {
      useFactory: (...args: never[]) => SessionUserProvider | Promise<SessionUserProvider>;
      inject?: unknown[];
    };

/** How many sessions a user may have at a time. */
export interface MaxSessionsOptions {
  /** 1 or more. */
  limit: number;
  /** `end-oldest`: a login ends the sessions that were logged in first. `refuse`: a login beyond the limit is a 409. */
  onExceed: 'end-oldest' | 'refuse';
}

/** Logins. Defaults in brackets. */
export interface SessionAuthOptions {
  users: SessionUsersOption;
  /** Modules whose providers `users` injects. */
  imports?: ModuleMetadata['imports'];
  /**
   * [none: a 401] The page, a path of this site, to which a page that needs a login is sent, with `next` (where it was
   * to go) and `reason` (`expired`, `second-factor`, `confirm`; none when nobody was logged in).
   */
  loginUrl?: string;
  /** [`loginUrl`] The page that asks for the second factor. */
  secondFactorUrl?: string;
  /** [`loginUrl`] The page that asks a user to prove it again. */
  confirmUrl?: string;
  /** [false] Every route needs a login, all but those with `@Public()`. */
  required?: boolean;
  /** [as many as they like] */
  maxSessions?: MaxSessionsOptions;
  /** [`absoluteTimeout`] The absolute timeout of a session that was logged in with `remember: true`. */
  rememberFor?: Duration;
  /** ['10m'] How long a login waits for its second factor. */
  pendingTimeout?: Duration;
  /** [false] Keep the IP address and the user agent of each login, for lists of devices. */
  meta?: boolean;
}
