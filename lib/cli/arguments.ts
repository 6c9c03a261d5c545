import { InvalidArgumentError } from 'commander';
import { durationMs } from '../core/duration.js';

export function wholeNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number > 0 && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError('Write a whole number, 1 or more.');
}

/** Seconds when a number, as in the module's options; otherwise with a unit: 50ms, 2s. */
export function duration(text: string): number | string {
  const value = /^[\d.]+$/.test(text) ? Number(text) : text;
  if (durationMs(value) !== undefined) return value;
  throw new InvalidArgumentError("Write seconds, or a duration with a unit such as '50ms'.");
}

export function notEmpty(text: string): string {
  if (text !== '') return text;
  throw new InvalidArgumentError('It is empty.');
}
