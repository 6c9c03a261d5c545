import type { SessionCsrfOptions } from '../session-options.js';

/** {@link SessionCsrfOptions}, complete. */
export interface ResolvedCsrfOptions {
  /** Every route is guarded; otherwise those that `@UseGuards(SessionCsrfGuard)` names. */
  readonly isGlobal: boolean;
  /** As browsers write them into the Origin header. */
  readonly trustedOrigins: ReadonlySet<string>;
  readonly everyone: boolean;
  readonly requireToken: boolean;
}

/** Checks `csrf`, adds what is wrong with it to `problems`, and fills in the defaults. */
export function resolveCsrf(
  csrf: boolean | SessionCsrfOptions | undefined,
  problems: string[],
): ResolvedCsrfOptions {
  const options = typeof csrf === 'object' && csrf !== null ? csrf : {};
  if (csrf !== undefined && typeof csrf !== 'boolean' && options !== csrf)
    problems.push("csrf is true, or an object: write csrf: { trustedOrigins: ['https://other.example'] }.");
  const { trustedOrigins = [], everyone = false, requireToken = false } = options;
  if (typeof everyone !== 'boolean') problems.push('csrf.everyone is true or false.');
  if (typeof requireToken !== 'boolean') problems.push('csrf.requireToken is true or false.');
  return Object.freeze({
    isGlobal: Boolean(csrf),
    trustedOrigins: new Set(resolveOrigins(trustedOrigins, problems)),
    everyone,
    requireToken,
  });
}

function resolveOrigins(origins: unknown, problems: string[]): string[] {
  if (Array.isArray(origins))
    return origins.flatMap((origin, index) => resolveOrigin(origin, index, problems));
  problems.push("csrf.trustedOrigins is an array: write ['https://other.example'].");
  return [];
}

function resolveOrigin(origin: unknown, index: number, problems: string[]): string[] {
  const refuse = (why: string) => {
    problems.push(`csrf.trustedOrigins[${index}] ${why}.`);
    return [];
  };
  if (origin === 'null')
    return refuse(
      "is 'null', which every page in a sandbox is called: leave it out, nobody could trust that",
    );
  if (
    typeof origin !== 'string' ||
    !/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@\\*,]+$/i.test(origin) ||
    !URL.canParse(origin)
  )
    return refuse("is no origin: write scheme://host[:port] without a path, such as 'https://other.example'");
  const url = new URL(origin);
  // Pages of apps (capacitor://localhost) have origins that URL does not tell; browsers do.
  return [url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin];
}
