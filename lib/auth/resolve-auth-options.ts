import { durationMs } from '../core/duration.js';
import type { MaxSessionsOptions, SessionAuthOptions } from './auth-options.js';
import { isPage } from './safe-next.js';

/** The options of logins as the framework uses them: complete, checked, in milliseconds. */
export interface ResolvedAuthOptions {
  readonly loginUrl: string | undefined;
  /** undefined: the login page of the route */
  readonly secondFactorUrl: string | undefined;
  /** undefined: the login page of the route */
  readonly confirmUrl: string | undefined;
  readonly required: boolean;
  readonly maxSessions: Readonly<MaxSessionsOptions> | undefined;
  readonly rememberForMs: number | undefined;
  readonly pendingTimeoutMs: number;
  readonly meta: boolean;
}

const KNOWN = new Set([
  ...['users', 'imports', 'loginUrl', 'secondFactorUrl', 'confirmUrl', 'required', 'maxSessions'],
  ...['rememberFor', 'pendingTimeout', 'meta'],
]);

/**
 * Checks what the user wrote under `auth`, and fills in defaults.
 *
 * @param problems gets what is wrong, each with what to write instead
 */
export function resolveAuthOptions(options: SessionAuthOptions, problems: string[]): ResolvedAuthOptions {
  for (const name of Object.keys(options))
    if (!KNOWN.has(name))
      problems.push(`auth.${name} is not an option: the options are ${[...KNOWN].join(', ')}.`);
  if (options.users === undefined)
    problems.push('auth.users is missing: write a class that implements SessionUserProvider.');
  checkFlags(options, problems);
  checkMaxSessions(options.maxSessions, problems);
  return Object.freeze({
    loginUrl: page('loginUrl', options.loginUrl, problems),
    secondFactorUrl: page('secondFactorUrl', options.secondFactorUrl, problems),
    confirmUrl: page('confirmUrl', options.confirmUrl, problems),
    required: options.required ?? false,
    maxSessions: options.maxSessions && Object.freeze({ ...options.maxSessions }),
    rememberForMs: duration('rememberFor', options, problems),
    pendingTimeoutMs: duration('pendingTimeout', options, problems) ?? 10 * 60_000,
    meta: options.meta ?? false,
  });
}

function checkFlags(options: SessionAuthOptions, problems: string[]): void {
  for (const name of ['required', 'meta'] as const)
    if (options[name] !== undefined && typeof options[name] !== 'boolean')
      problems.push(`auth.${name} is true or false.`);
}

function checkMaxSessions(maxSessions: MaxSessionsOptions | undefined, problems: string[]): void {
  if (maxSessions === undefined) return;
  const { limit, onExceed } = Object(maxSessions) as Partial<MaxSessionsOptions>;
  if (!Number.isInteger(limit) || Number(limit) < 1)
    problems.push('auth.maxSessions.limit is a whole number of sessions, 1 or more.');
  if (onExceed !== 'end-oldest' && onExceed !== 'refuse')
    problems.push("auth.maxSessions.onExceed is 'end-oldest' or 'refuse'.");
}

function page(name: string, url: string | undefined, problems: string[]): string | undefined {
  if (url !== undefined && !isPage(url))
    problems.push(`auth.${name} is no path of this site: write '/login'.`);
  return url;
}

function duration(
  name: 'rememberFor' | 'pendingTimeout',
  options: SessionAuthOptions,
  problems: string[],
): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  const milliseconds = durationMs(value);
  if (!milliseconds)
    problems.push(
      `auth.${name} is no duration: write seconds as a number, or a text with a unit such as '30m'.`,
    );
  return milliseconds;
}
