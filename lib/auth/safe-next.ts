/** Longer ones are nobody's page, and proxies refuse the answer whose header repeats them. */
const MAX_LENGTH = 2_048;

/**
 * What no path carries as it stands: browsers drop tabs and line ends and take `\` for `/`, and blanks or invisible
 * characters (\p{C}: controls, formats such as bidi marks, lone surrogates) hide from people what a link says.
 */
const NOT_IN_A_PATH = /[\s\p{C}\\]/u;

const NOT_IN_A_HEADER_OR_ATTRIBUTE = /[^\x21-\x7e]|["'<>`]/gu;

/** How often a path may be encoded over and over: a page's name inside a page's name is, but nobody's links go on. */
const MAX_DECODINGS = 4;

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

function isShortPath(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_LENGTH && isPathOfThisSite(value);
}

function percentEncoded(character: string): string {
  return character === "'" ? '%27' : encodeURIComponent(character);
}

/** Whether a browser that is sent to this text stays on this site, whoever decodes or tidies the path on the way. */
export function isPathOfThisSite(text: string): boolean {
  if (NOT_IN_A_PATH.test(text)) return false;
  let path = text.replace(/[?#].*$/s, '');
  if (!isWellEncoded(path)) return false;
  for (let round = 0; round <= MAX_DECODINGS; round++) {
    if (!leadsToThisSite(path)) return false;
    const decoded = path.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) =>
      String.fromCharCode(parseInt(hex, 16)),
    );
    if (decoded === path) return true;
    path = decoded;
  }
  return false;
}

/** UTF-8 behind the percent signs, and so no `%C0%AF`, which careless decoders take for a slash. */
function isWellEncoded(path: string): boolean {
  try {
    // What Unicode holds for the same as a slash (`／`) is one to whoever normalises.
    return leadsToThisSite(decodeURIComponent(path).normalize('NFKC'));
  } catch {
    return false;
  }
}

function leadsToThisSite(path: string): boolean {
  if (!/^\/(?!\/)/.test(path) || /[\p{Cc}\\]/u.test(path)) return false;
  // Dot segments are taken away as browsers do it: `/a/..//host` becomes `//host`, which is another host.
  return !new URL(`https://this.invalid${path}`).pathname.startsWith('//');
}
