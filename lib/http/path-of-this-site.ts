/**
 * What no path carries as it stands: browsers drop tabs and line ends and take `\` for `/`, and blanks or invisible
 * characters (\p{C}: controls, formats such as bidi marks, lone surrogates) hide from people what a link says.
 */
const NOT_IN_A_PATH = /[\s\p{C}\\]/u;

/** How often a path may be encoded over and over: a page's name inside a page's name is, but nobody's links go on. */
const MAX_DECODINGS = 4;

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
