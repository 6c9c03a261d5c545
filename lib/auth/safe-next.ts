/**
 * Where to go after a login, out of a text that anybody could have written: a path of this site, or the fallback.
 *
 * @param next usually `request.query.next`
 */
export function safeNext(next: unknown, fallback = '/'): string {
  if (typeof next !== 'string' || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(next)) return fallback;
  return new URL(next, 'https://this.invalid').host === 'this.invalid' ? next : fallback;
}
