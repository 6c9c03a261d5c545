import { cookieValues } from '../cookie-header.js';
import type { CookiePlace, CookieToSet } from '../session-backend.js';

/** Into so many cookies a text is cut at most, whatever the options say. */
export const MAX_CHUNKS = 16;

/** RFC 6265bis, 5.6: browsers drop a cookie whose name and value have more; attributes are counted too, to be safe. */
const MAX_COOKIE_BYTES = 4096;

/** How the first cookie begins: the version of this form, and the number of cookies. */
const VERSION = '1';
const FIRST = /^1\.([1-9]\d?)\.([\w-]+)$/;

/** The beginning of the text, which is random: each further cookie repeats it, so that two texts are never mixed. */
const MARK_LENGTH = 8;

/** What a cookie needs beside its share of the text, at most: `.15` · `=` · the mark · `.`; the first one needs less. */
const FRAME_BYTES = 3 + 1 + MARK_LENGTH + 1;

/** Two cookies of one name come from two paths or domains; whoever sends more is no browser of ours. */
const MAX_CANDIDATES = 8;

/** A text that came in one or several cookies. */
export interface ChunkedText {
  readonly text: string;
  readonly count: number;
}

/** How many characters of a text one cookie takes. */
export function capacityOf({ name, attributeBytes }: CookiePlace): number {
  return Math.max(0, MAX_COOKIE_BYTES - FRAME_BYTES - name.length - attributeBytes);
}

/**
 * Cuts a text into cookies: `name` holds `1.COUNT.…`, the further ones, `name.1` and so on, hold `MARK.…`. A prefix such
 * as `__Host-` stays in front in all of them.
 *
 * @param count `Math.ceil(text.length / capacityOf(place))`
 */
export function splitIntoCookies({ text, count }: ChunkedText, place: CookiePlace): CookieToSet[] {
  const capacity = capacityOf(place);
  const mark = text.slice(0, MARK_LENGTH);
  return Array.from({ length: count }, (_, index) => {
    const share = text.slice(index * capacity, (index + 1) * capacity);
    return {
      name: chunkName(place.name, index),
      value: index === 0 ? `${VERSION}.${count}.${share}` : `${mark}.${share}`,
    };
  });
}

/**
 * The texts that a Cookie header holds under a name. Whether they are ours, the seal says.
 *
 * @param onIncomplete told of a first cookie to which others are missing
 */
export function joinCookies(header: string, name: string, onIncomplete: () => void): ChunkedText[] {
  const found: ChunkedText[] = [];
  // Cut after the look at the form, so that a neighbour's malformed cookies of this name don't hide ours.
  for (const { first, count } of firstCookies(header, name).slice(0, MAX_CANDIDATES)) {
    const text = join(header, name, first, count);
    if (text === undefined) onIncomplete();
    else if (!found.some((other) => other.text === text)) found.push({ text, count });
  }
  return found;
}

/** The cookies of this name that have the form of a first one. */
function firstCookies(header: string, name: string): { first: string; count: number }[] {
  return cookieValues(header, name).flatMap((value) => {
    const [, digits, first] = FIRST.exec(value) ?? [];
    const count = Number(digits);
    return first && count <= MAX_CHUNKS ? [{ first, count }] : [];
  });
}

/** The names under which a request brought something: that of the session, and those of further cookies. */
export function presentNames(header: string, name: string): string[] {
  const hasMore = header.includes(`${name}.`);
  const names = Array.from({ length: hasMore ? MAX_CHUNKS : 1 }, (_, index) => chunkName(name, index));
  return names.filter((each) => cookieValues(header, each).length > 0);
}

/** Whether a cookie is a further one of `name`. */
export function isChunkOf(name: string, other: string): boolean {
  return other.startsWith(`${name}.`);
}

function chunkName(name: string, index: number): string {
  return index === 0 ? name : `${name}.${index}`;
}

function join(header: string, name: string, first: string, count: number): string | undefined {
  const mark = `${first.slice(0, MARK_LENGTH)}.`;
  let text = first;
  for (let index = 1; index < count; index++) {
    const share = cookieValues(header, chunkName(name, index)).find((value) => value.startsWith(mark));
    if (share === undefined) return undefined;
    text += share.slice(mark.length);
  }
  return text;
}
