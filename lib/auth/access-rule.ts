import { durationMs, type Duration } from '../core/duration.js';
import { SessionUsageError } from '../errors.js';
import { markableTargetsOf } from '../http/markable-targets.js';
import { isPage } from './safe-next.js';

/** What `@Authenticated()` asks for beside a login. */
export interface AuthenticatedOptions {
  /** The proof is not older than this: `'10m'`. Else a 403 `REAUTHENTICATION_REQUIRED`. */
  within?: Duration;
  /** The proof was at least as strong (`login(…, { level })`). Else a 403 `SECOND_FACTOR_REQUIRED`. */
  level?: number;
  /**
   * The page to log in at, in place of `auth.loginUrl`: the one of another part of the site. Also for the second factor and
   * the repeated proof, where `auth` names no pages for these.
   */
  loginUrl?: string;
}

/** What a route or a controller is marked with. */
export type AccessMark =
  'public' | { readonly withinMs?: number; readonly level?: number; readonly loginUrl?: string };

/** What holds for a route. */
export type AccessRule =
  'public' | { readonly withinMs: number; readonly level: number; readonly loginUrl: string | undefined };

/** The name of the mark in a route's metadata; a text, for both builds of the package. */
export const ACCESS = 'nest-session.access';

/**
 * Checks the options when the decorator is applied, so that a mistake stops the start.
 *
 * An option that is named holds, even undefined: it takes away what the controller asks for.
 */
export function markOf(options: AuthenticatedOptions): AccessMark {
  const mark: { withinMs?: number; level?: number; loginUrl?: string } = {};
  if ('within' in options)
    mark.withinMs = options.within === undefined ? undefined : withinMsOf(options.within);
  if ('level' in options) mark.level = options.level;
  if (mark.level !== undefined && !Number.isFinite(mark.level))
    throw new SessionUsageError('@Authenticated({ level }) takes a number: 2 for a second factor.');
  if ('loginUrl' in options) mark.loginUrl = options.loginUrl;
  if (mark.loginUrl !== undefined && !isPage(mark.loginUrl))
    throw new SessionUsageError(
      "@Authenticated({ loginUrl }) takes a path of this site, such as '/admin/login'.",
    );
  return mark;
}

/** Whether any route of a controller has a login page of its own. */
export function hasLoginPages(controller: { readonly prototype: object }): boolean {
  return markableTargetsOf(controller).some((target) => {
    const mark = markOn(target);
    return typeof mark === 'object' && mark.loginUrl !== undefined;
  });
}

/** What a route or a controller is marked with, by its own decorator. */
export function markOn(target: object): AccessMark | undefined {
  return Reflect.getMetadata(ACCESS, target) as AccessMark | undefined;
}

function withinMsOf(within: Duration): number {
  const milliseconds = durationMs(within);
  if (milliseconds) return milliseconds;
  throw new SessionUsageError(
    "@Authenticated({ within }) takes seconds, or a text with a unit such as '10m'.",
  );
}

/** The route's mark wins, option by option: what it does not name is as the controller says. Without marks: a login. */
export function combine(onRoute: AccessMark | undefined, onController: AccessMark | undefined): AccessRule {
  if (onRoute === 'public' || (onRoute === undefined && onController === 'public')) return 'public';
  const {
    withinMs = Infinity,
    level = 0,
    loginUrl,
  } = {
    ...(onController === 'public' ? undefined : onController),
    ...onRoute,
  };
  return { withinMs, level, loginUrl };
}
