import { inspect } from 'node:util';
import { type Session, SessionView } from '../core/session.js';

type AnySession = Session<Record<string, unknown>>;

/** What a template finds under these names is the session's own; a value of such a name is in `session.data`. */
const MEMBERS = new Set<PropertyKey>([...Reflect.ownKeys(SessionView.prototype), 'toString']);
for (const hidden of ['constructor', inspect.custom]) MEMBERS.delete(hidden); // who inspects the locals sees no values

/**
 * The session as templates read it: `session.cart` (as in Django), `session.data.cart`, `session.get('cart')`. All of it
 * is own properties, as Handlebars and others refuse what is inherited, and its methods are bound, as engines call them on
 * whatever they like. Reads at that moment, and counts as asking for the session; the object itself does not.
 */
export function sessionForViews(session: AnySession): object {
  const memberOf = (name: PropertyKey): unknown => {
    const member: unknown = Reflect.get(session, name);
    return typeof member === 'function' ? (member.bind(session) as unknown) : member;
  };
  const valueOf = (name: PropertyKey) => (typeof name === 'string' ? session.get(name) : undefined);
  const hasValue = (name: PropertyKey) => typeof name === 'string' && session.has(name);
  const describe = (value: unknown, enumerable: boolean): PropertyDescriptor => ({
    value,
    enumerable,
    writable: true,
    configurable: true,
  });
  // The object behind it is empty: who inspects the locals sees no values.
  return new Proxy(Object.create(null) as object, {
    get: (_, name) => (MEMBERS.has(name) ? memberOf(name) : valueOf(name)),
    has: (_, name) => MEMBERS.has(name) || hasValue(name),
    ownKeys: () => [...session.keys()],
    getOwnPropertyDescriptor: (_, name) => {
      if (MEMBERS.has(name)) return describe(memberOf(name), false);
      return hasValue(name) ? describe(valueOf(name), true) : undefined;
    },
    set: (_, name, value) => Reflect.set(session, name, value), // throws, and says what to write
    defineProperty: () => false,
    deleteProperty: () => false,
    preventExtensions: () => false,
    setPrototypeOf: () => false,
  });
}
