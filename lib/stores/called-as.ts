import type { Type } from '@nestjs/common';

/**
 * Gives a class that `with()` made the name of the class that users wrote: for messages, also Nest's, and the command line.
 */
export function calledAs<T extends Type>(written: { readonly name: string }, made: T): T {
  return Object.defineProperty(made, 'name', { value: written.name });
}
