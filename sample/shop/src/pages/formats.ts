const money = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });

/** 1150 → €11.50 */
export function price(cents: number): string {
  return money.format(cents / 100);
}

/** 5 Dec 2026, 14:05 UTC */
export function date(value: Date): string {
  return `${moment.format(value)} UTC`;
}

/** 1 → 1st */
export function ordinal(count: number): string {
  return `${count}${ENDINGS[ordinals.select(count)]}`;
}

/** (1, 'item') → 1 item */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

const ordinals = new Intl.PluralRules('en', { type: 'ordinal' });
const ENDINGS = { zero: 'th', one: 'st', two: 'nd', few: 'rd', many: 'th', other: 'th' };
