/**
 * All values under exactly this name, undecoded: `%5F%5FHost-sessionid` and `__host-sessionid` are other cookies
 * (CVE-2020-7070, CVE-2022-31629), and a second cookie of our name must not go unseen, as parsers into an object let it.
 */
export function cookieValues(header: string, name: string): string[] {
  const values: string[] = [];
  for (let start = header.indexOf(name); start !== -1; start = header.indexOf(name, start + 1)) {
    if (header[start + name.length] !== '=' || !beginsPair(header, start)) continue;
    const end = header.indexOf(';', start);
    const value = header.slice(start + name.length + 1, end === -1 ? undefined : end);
    values.push(value.trimEnd());
  }
  return values;
}

function beginsPair(header: string, index: number): boolean {
  let before = index - 1;
  while (before >= 0 && (header[before] === ' ' || header[before] === '\t')) before--;
  return before < 0 || header[before] === ';';
}
