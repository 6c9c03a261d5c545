import type { HeadWriter } from './head-writer.js';

/**
 * Says to caches that the answer depends on the visitor (law 12): `Vary: Cookie`, and `private` unless the handler said
 * something else. Beside our Set-Cookie nothing stays public, because a cache that keeps it hands the session to others
 * (CVE-2024-26144, CVE-2025-48947, CVE-2026-35192).
 */
export function keepOutOfCaches(head: HeadWriter, setsCookie: boolean): void {
  addVary(head, 'Cookie');
  const said = head.values('Cache-Control').join(', ');
  if (!said) head.set('Cache-Control', setsCookie ? 'no-store' : 'private');
  else if (setsCookie) head.set('Cache-Control', privateOnly(said));
}

function addVary(head: HeadWriter, name: string): void {
  const said = head.values('Vary');
  if (said.length === 0) return head.set('Vary', name);
  const names = said.flatMap((value) => value.split(',')).map((each) => each.trim());
  const has = names.some((each) => each === '*' || each.toLowerCase() === name.toLowerCase());
  head.set('Vary', (has ? names : [...names, name]).filter(Boolean).join(', '));
}

function privateOnly(cacheControl: string): string {
  const directives = cacheControl.split(',').map((each) => each.trim());
  const kept = directives.filter((each) => each && !/^(public|s-maxage)\b/i.test(each));
  const isClosed = kept.some((each) => /^(private|no-store)\b/i.test(each));
  return (isClosed ? kept : ['private', ...kept]).join(', ');
}
