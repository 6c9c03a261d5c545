/**
 * Texts as servers keep them. Clients send UTF-8, which has no lone surrogates: a text with one would come back as another.
 * Such a text is kept as JSON, which escapes them, behind a mark; one that begins with the mark too.
 */
const MARK = '\u0001';

export function writeText(text: string): string {
  return isUtf8(text) && !text.startsWith(MARK) ? text : escapedText(text);
}

/** The same for a text that can't be kept as it is for another reason. */
export function escapedText(text: string): string {
  return MARK + JSON.stringify(text);
}

/** @returns undefined when the text is corrupt */
export function readText(stored: string): string | undefined {
  if (!stored.startsWith(MARK)) return stored;
  try {
    const text: unknown = JSON.parse(stored.slice(MARK.length));
    return typeof text === 'string' ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Node 20 has it, TypeScript's ES2023 does not know it yet. */
function isUtf8(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
