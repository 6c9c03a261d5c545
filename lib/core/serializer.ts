/**
 * Turns each top-level value into text and back (Django's SESSION_SERIALIZER). `parse(stringify(v))` must give what
 * `JSON.parse(JSON.stringify(v))` gives, and what `accepts` took as it was: nothing else comes here. The text of a value may be
 * another each time, as with encryption by a random nonce: then values are compared, and to read one writes nothing.
 */
export interface SessionSerializer {
  stringify(value: unknown): string;
  parse(text: string): unknown;
  /**
   * [takes JSON alone] Whether this serializer brings a value back as what it is, though JSON would change it. Asked at
   * `set` and at the commit for BigInt, NaN, Infinity and class instances (Date, Map, Decimal), wherever in a value they
   * stand; what one holds is not looked into. What it does not accept is an error or, for classes of your own, a plain
   * copy. Changes inside are found by the text, or where that is another each time, by `isDeepStrictEqual` of node:util:
   * private fields are invisible to that.
   */
  accepts?(value: unknown): boolean;
}

/** The serializer in force, for stores that look into values (own columns). */
export const SESSION_SERIALIZER: unique symbol = Symbol.for('nest-session.SessionSerializer') as never;

export const jsonSerializer: SessionSerializer = {
  stringify: (value) => JSON.stringify(value),
  parse: (text) => JSON.parse(text) as unknown,
};
