import { safeNext } from 'nest-session';
import { Mistake } from '../mistake.js';

/** Checks what came from outside, and says in words what is wrong with it. */
export type Field<T> = (value: unknown) => T;

export const emailAddress: Field<string> = (value) => {
  const email = textOf(value).trim().toLowerCase();
  if (email.length <= 254 && /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email)) return email;
  throw new Mistake(400, 'Please write an e-mail address.');
};

export const personName: Field<string> = (value) => {
  const name = textOf(value).trim();
  if (name.length >= 1 && name.length <= 100) return name;
  throw new Mistake(400, 'Please tell us your name, in at most 100 characters.');
};

/** Long rather than odd: no rules about digits and signs (NIST SP 800-63B). */
export const newPassword: Field<string> = (value) => {
  const password = textOf(value);
  if (password.length >= 12 && password.length <= 128) return password;
  throw new Mistake(400, 'Please choose a password of 12 to 128 characters.');
};

/** One that exists: whether it is right, its hash says. */
export const password: Field<string> = (value) => {
  const text = textOf(value);
  if (text.length >= 1 && text.length <= 128) return text;
  throw new Mistake(400, 'Please write your password.');
};

export const oneTimeCode: Field<string> = (value) => {
  const code = textOf(value).replaceAll(' ', '');
  if (/^\d{6}$/.test(code)) return code;
  throw new Mistake(400, 'Please write the six digits that your app shows.');
};

/** Browsers send `on`, or nothing at all. */
export const checkbox: Field<boolean> = (value) => value === 'on' || value === true;

/** Where to go afterwards: a page of the shop, whoever wrote the link. */
export const nextPage: Field<string> = (value) => safeNext(value, '/account');

/** What somebody typed, to be shown to them again. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
