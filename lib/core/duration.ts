import ms, { type StringValue } from 'ms';

/** Seconds when a number, otherwise a text with a unit: `'90s'`, `'30m'`, `'12h'`, `'14d'`. */
export type Duration = number | string;

/**
 * Turns what a user wrote into milliseconds, whole ones: stores keep deadlines as integers.
 *
 * @returns undefined for what is no duration: a text without a unit, a negative or infinite number
 */
export function durationMs(duration: Duration): number | undefined {
  const length = typeof duration === 'number' ? duration * 1000 : textMs(duration);
  return length !== undefined && Number.isFinite(length) && length >= 0 ? Math.round(length) : undefined;
}

function textMs(text: unknown): number | undefined {
  // `ms('10')` is ten milliseconds, which nobody who knows that numbers are seconds would guess.
  if (typeof text !== 'string' || !/[a-z]\s*$/i.test(text)) return undefined;
  return ms(text as StringValue);
}
