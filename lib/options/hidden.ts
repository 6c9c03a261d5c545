/**
 * Gives an object a property that can be read, and that nothing shows which prints, copies or lists the object: `inspect`
 * writes `[Getter]` where it is asked for hidden properties, and else nothing.
 */
export function withHidden<T extends object, K extends string, V>(
  object: T,
  name: K,
  value: V,
): T & Readonly<Record<K, V>> {
  Object.defineProperty(object, name, { get: () => value, enumerable: false });
  return object as T & Readonly<Record<K, V>>;
}

/** A copy of options whose `secret` is hidden, so that who prints a module does not print it. */
export function withHiddenSecret<T extends { readonly secret?: unknown }>(options: T): T {
  if (typeof options !== 'object' || options === null || !('secret' in options)) return options;
  const { secret, ...rest } = options;
  return withHidden(rest, 'secret', secret) as unknown as T;
}
