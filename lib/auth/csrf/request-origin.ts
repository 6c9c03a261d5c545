import type { IncomingHttpHeaders } from 'node:http';

/**
 * Who made a browser send a request: a page of this `own` origin (or the visitor, by hand) · another page, `foreign` ·
 * `unknown`, because a program or a very old browser says nothing.
 */
export type RequestOrigin = 'own' | 'foreign' | 'unknown';

/**
 * Reads from the headers which page a request came from, by the rules of Go's `http.CrossOriginProtection` (1.25). No
 * script can forge them. `Sec-Fetch-Site` counts where it came; `Origin` is for browsers from before 2023 and for plain
 * HTTP, where browsers leave the other one out.
 *
 * @param trustedOrigins other origins that count as this one; sub-domains of the same site are strangers without it
 */
export function requestOrigin(
  headers: IncomingHttpHeaders,
  trustedOrigins: ReadonlySet<string>,
): RequestOrigin {
  const { origin, 'sec-fetch-site': site } = headers;
  if (site === 'same-origin' || site === 'none') return 'own';
  if (!site && !origin) return 'unknown';
  if (origin && trustedOrigins.has(origin)) return 'own';
  return !site && isOriginOf(headers[':authority'] ?? headers.host, origin) ? 'own' : 'foreign';
}

/** The Host header has no scheme: a page on plain HTTP counts as its twin on HTTPS, which HSTS is for. */
function isOriginOf(host: unknown, origin: string | undefined): boolean {
  if (typeof host !== 'string' || host === '') return false;
  const name = host.toLowerCase();
  // Browsers leave the default port out of both; some proxies add it to Host.
  return origin === `https://${name.replace(/:443$/, '')}` || origin === `http://${name.replace(/:80$/, '')}`;
}
