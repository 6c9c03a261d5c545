import type { LoginMeta } from '../core/login-values.js';

/** Any `Session`, whatever its values are. */
export interface SessionOfRequest {
  load(): Promise<unknown>;
  readonly handle: string;
}

export interface LoginOptions {
  /**
   * true: the login outlives the browser, for `rememberFor` · false: it ends with it · not named: as the module says.
   *
   * Takes what a form sends as it comes: `'on'`, `'true'`, `'1'` and `'yes'` are true. All else is false, also undefined where
   * `remember` is named, since a box that nobody ticked sends nothing.
   */
  remember?: boolean | string | null;
  /** How the user proved it, for you to look at later: `['pwd', 'otp']`. Those of `pending()` are added. */
  methods?: readonly string[];
  /** [1] How strong the proof was, for `@Authenticated({ level })`. */
  level?: number;
  /** [now] When the proof was given, if elsewhere and earlier: an identity provider's `auth_time`. */
  authenticatedAt?: Date;
}

const TICKED = ['on', 'true', '1', 'yes'];

/** What `remember` says; undefined when it is not named at all. */
export function rememberOf(options: Pick<LoginOptions, 'remember'>): boolean | undefined {
  if (!('remember' in options)) return undefined;
  const { remember } = options;
  return typeof remember === 'string' ? TICKED.includes(remember.toLowerCase()) : remember === true;
}

/** What a user's list of devices shows of a session. */
export interface UserSession {
  /** The session's public name, for `revoke()`. */
  readonly handle: string;
  readonly createdAt: Date;
  /** As exact as `touchEvery`. */
  readonly lastSeenAt: Date;
  readonly authenticatedAt: Date;
  /** It is the session that asks, if that was given. */
  readonly isCurrent: boolean;
  readonly methods: readonly string[];
  /** Where the login came from, with `auth: { meta: true }`. */
  readonly meta: LoginMeta | undefined;
}

export interface LogoutOptions {
  /**
   * Tell the browser to forget more than the cookie (`Clear-Site-Data`; over HTTPS alone, else browsers don't listen).
   * true: `cache` and `storage`. `cookies` takes those of all sub-domains too.
   */
  clearSiteData?: boolean | readonly ('cache' | 'cookies' | 'storage' | 'executionContexts' | '*')[];
}
