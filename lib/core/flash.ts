import { randomBytes } from 'node:crypto';
import type { EpochMs } from './clock.js';
import { RESERVED_PREFIX, type SessionValues } from './session-values.js';

/** When an entry was flashed, in base 36, and chance: two requests at once never mean the same entry. */
const STAMP = /^([0-9a-z]{9})[0-9a-f]{12}$/;

const TIME_DIGITS = 9;

/**
 * Keeps one more value under a key. Each has a name of its own among the session's values, since those are merged by
 * name: what two requests flash at once both arrives, and what one flashes while another takes is left for the next.
 *
 * @throws SessionValueError when JSON cannot hold the value
 */
export function addFlash(values: SessionValues, key: string, value: unknown, now: EpochMs): void {
  const last = flashNames(values, key).at(-1);
  // Behind all that are known here, also within one millisecond and where another server's clock is ahead.
  const time = Math.max(now, last === undefined ? 0 : timeOf(last) + 1);
  const stamp = time.toString(36).padStart(TIME_DIGITS, '0') + randomBytes(6).toString('hex');
  values.set(`${prefixOf(key)}${stamp}`, value);
}

/** Takes all values of a key, in the order in which they were flashed; what cannot be read is left out. */
export function takeFlashes(values: SessionValues, key: string): unknown[] {
  return flashNames(values, key).flatMap((name) => {
    const value = values.peek(name);
    values.delete(name);
    return value === undefined ? [] : [value];
  });
}

/** In the order of the entries: stores give names in any. */
function flashNames(values: SessionValues, key: string): string[] {
  const prefix = prefixOf(key);
  const isEntry = (name: string) => name.startsWith(prefix) && STAMP.test(name.slice(prefix.length));
  return [...values.names()].filter(isEntry).sort();
}

function prefixOf(key: string): string {
  return `${RESERVED_PREFIX}flash.${key}.`;
}

function timeOf(name: string): EpochMs {
  const [, time = ''] = STAMP.exec(name.slice(name.lastIndexOf('.') + 1)) ?? [];
  return parseInt(time, 36);
}
