import { SessionTooLargeError } from '../errors.js';
import type { ValueTexts } from './record.js';

interface ValueSize {
  readonly name: string;
  /** Bytes of name and text. */
  readonly size: number;
}

/** @throws SessionTooLargeError when names and texts together take more than `maxSize` bytes */
export function checkSize(texts: Iterable<readonly [name: string, text: string]>, maxSize: number): void {
  const all = [...texts];
  // A UTF-16 unit takes at most three bytes in UTF-8, so that most sessions need no exact count.
  let units = 0;
  for (const [name, text] of all) units += name.length + text.length;
  if (units * 3 <= maxSize) return;
  const sizes = sizesOf(all);
  const size = sizes.reduce((sum, each) => sum + each.size, 0);
  if (size > maxSize) throw new SessionTooLargeError(size, maxSize, largestOf(sizes));
}

/** The three largest values, for an error that says what takes the room. */
export function largestValues(values: ValueTexts): ValueSize[] {
  return largestOf(sizesOf(Object.entries(values)));
}

function sizesOf(texts: readonly (readonly [name: string, text: string])[]): ValueSize[] {
  return texts.map(([name, text]) => ({
    name,
    size: Buffer.byteLength(name) + Buffer.byteLength(text),
  }));
}

function largestOf(sizes: ValueSize[]): ValueSize[] {
  return sizes.sort((a, b) => b.size - a.size).slice(0, 3);
}
