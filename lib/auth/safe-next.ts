import { isPathOfThisSite } from '../http/path-of-this-site.js';

/** Longer ones are nobody's page, and proxies refuse the answer whose header repeats them. */
const MAX_LENGTH = 2_048;

const NOT_IN_A_HEADER_OR_ATTRIBUTE = /[^\x21-\x7e]|["'<>`]/gu;

/**
 * Where to go after a login, out of a text that anybody could have written: a path of this site, with its query and
 * hash, fit for a `Location` header and for an `href`. Everything else becomes the fallback: other hosts (`//host`,
 * `/\host`, `/%2Fhost`, `/a/..//host`), schemes, control characters, and what is no text at all.
 *
 * @param next usually `request.query.next`; characters that a header or an attribute cannot carry come back
 * percent-encoded
 * @param fallback the path to go to instead; held to the same rules, so that the result is a path of this site in any
 * case
 * @example
 * response.redirect(303, safeNext(form.next, '/account'));
 */
export function safeNext(next: unknown, fallback = '/'): string {
  return ([next, fallback].find(isShortPath) ?? '/').replace(NOT_IN_A_HEADER_OR_ATTRIBUTE, percentEncoded);
}

/** Whether an option names a page of this site, as `safeNext` would leave it. */
export function isPage(url: unknown): url is string {
  return typeof url === 'string' && safeNext(url, '') === url;
}

function isShortPath(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_LENGTH && isPathOfThisSite(value);
}

function percentEncoded(character: string): string {
  return character === "'" ? '%27' : encodeURIComponent(character);
}
