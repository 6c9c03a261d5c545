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

/** 'Mozilla/5.0 … Firefox/140.0' → Firefox on Linux. Roughly: nobody's security hangs on it. */
export function browserOf(userAgent = ''): string {
  const browser = nameIn(userAgent, BROWSERS);
  const system = nameIn(userAgent, SYSTEMS);
  if (!browser) return 'A browser or a program';
  return system ? `${browser} on ${system}` : browser;
}

function nameIn(userAgent: string, names: readonly (readonly [RegExp, string])[]): string | undefined {
  return names.find(([pattern]) => pattern.test(userAgent))?.[1];
}

/** The first that fits: Chrome says that it is Safari too, and Edge that it is both. */
const BROWSERS = [
  [/\bEdg\w*\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\b(Firefox|FxiOS)\//, 'Firefox'],
  [/\b(\w*Chrome|Chromium|CriOS)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
  [/^curl\//, 'curl'],
] as const;
const SYSTEMS = [
  [/\bAndroid\b/, 'Android'],
  [/\b(iPhone|iPad)\b/, 'iOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bLinux\b/, 'Linux'],
] as const;

const ordinals = new Intl.PluralRules('en', { type: 'ordinal' });
const ENDINGS = { zero: 'th', one: 'st', two: 'nd', few: 'rd', many: 'th', other: 'th' };
