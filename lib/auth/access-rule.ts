import { durationMs, type Duration } from '../core/duration.js';
import { SessionUsageError } from '../errors.js';

/** What `@Authenticated()` asks for beside a login. */
export interface AuthenticatedOptions {
  /** The proof is not older than this: `'10m'`. Else a 403 `REAUTHENTICATION_REQUIRED`. */
  within?: Duration;
  /** The proof was at least as strong (`login(…, { level })`). Else a 403 `SECOND_FACTOR_REQUIRED`. */
  level?: number;
}

/** What a route or a controller is marked with. */
export type AccessMark = 'public' | { readonly withinMs?: number; readonly level?: number };

/** What holds for a route. */
export type AccessRule = 'public' | { readonly withinMs: number; readonly level: number };

/** The name of the mark in a route's metadata; a text, for both builds of the package. */
export const ACCESS = 'nest-session.access';

/**
 * Checks the options when the decorator is applied, so that a mistake stops the start.
 *
 * An option that is named holds, even undefined: it takes away what the controller asks for.
 */
export function markOf(options: AuthenticatedOptions): AccessMark {
  const mark: { withinMs?: number; level?: number } = {};
  if ('within' in options)
    mark.withinMs = options.within === undefined ? undefined : withinMsOf(options.within);
  if ('level' in options) mark.level = options.level;
  if (mark.level !== undefined && !Number.isFinite(mark.level))
    throw new SessionUsageError('@Authenticated({ level }) takes a number: 2 for a second factor.');
  return mark;
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
  const { withinMs = Infinity, level = 0 } = {
    ...(onController === 'public' ? undefined : onController),
    ...onRoute,
  };
  return { withinMs, level };
}
