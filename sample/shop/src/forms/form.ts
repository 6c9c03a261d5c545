import { Mistake } from '../mistake.js';
import type { Field } from './fields.js';

type Fields = Readonly<Record<string, Field<unknown>>>;
type Values<F extends Fields> = { [K in keyof F]: ReturnType<F[K]> };

/**
 * Reads a form or a JSON body, field by field; what else is in it counts for nothing.
 *
 * @throws Mistake with the first thing that is wrong
 */
export function readForm<F extends Fields>(body: unknown, fields: F): Values<F> {
  const sent = Object(body) as Record<string, unknown>;
  const values = Object.entries(fields).map(([name, field]) => [name, field(sent[name])]);
  return Object.fromEntries(values) as Values<F>;
}

/**
 * Does what a form asks for. After a mistake a browser gets the form again.
 *
 * @param template the page that the form stands on
 * @param model what to show on it: what was typed, but no passwords
 */
export async function orShowAgain<T>(
  template: string,
  model: () => object,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Mistake) error.form = { template, model: model() };
    throw error;
  }
}
