/**
 * Turns each top-level value into text and back (Django's SESSION_SERIALIZER). `parse(stringify(v))` must give what
 * `JSON.parse(JSON.stringify(v))` gives: values are checked to be JSON before they come here. The text of a value may be
 * another each time, as with encryption by a random nonce: then values are compared, and to read one writes nothing.
 */
export interface SessionSerializer {
  stringify(value: unknown): string;
  parse(text: string): unknown;
}

/** The serializer in force, for stores that look into values (own columns). */
export const SESSION_SERIALIZER: unique symbol = Symbol.for('nest-session.SessionSerializer') as never;

export const jsonSerializer: SessionSerializer = {
  stringify: (value) => JSON.stringify(value),
  parse: (text) => JSON.parse(text) as unknown,
};
