/** What a decorator of routes can have marked: a controller itself, and its methods, inherited ones too. */
export function markableTargetsOf(controller: { readonly prototype: object }): object[] {
  const targets: object[] = [controller];
  for (let each = controller.prototype; each && each !== Object.prototype; each = prototypeOf(each))
    for (const { value } of Object.values(Object.getOwnPropertyDescriptors(each)))
      if (typeof value === 'function') targets.push(value as object);
  return targets;
}

const prototypeOf = (object: object) => Object.getPrototypeOf(object) as object;
