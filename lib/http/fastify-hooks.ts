import type { RawRequest, ReplyLike } from './request-sessions.js';

export type OnRequest = (
  request: { readonly raw: RawRequest },
  reply: ReplyLike,
  done: (error?: Error) => void,
) => void;

/** The part of Fastify that hooks need. */
export interface FastifyHooks {
  addHook(name: 'onRequest', hook: OnRequest): unknown;
  after(callback: (error: Error | null, done: (error?: Error | null) => void) => void): unknown;
}

/**
 * Adds a hook that runs before those that are there: Fastify keeps the order in which they were added, and Nest's
 * middleware and main.ts have added theirs before a module can say a word. Fastify has no call for this. Where its inside
 * is another than we know, the hook runs in its turn.
 */
export function addFirstHook(instance: FastifyHooks, hook: OnRequest): void {
  instance.addHook('onRequest', hook); // for the contexts (plugins) that are there by now, too
  instance.after((error, done) => {
    moveToFront(instance, hook);
    done(error);
  });
}

function moveToFront(instance: object, hook: OnRequest): void {
  const { onRequest } = Object(inner(instance, 'fastify.hooks')) as { onRequest?: unknown };
  const index = Array.isArray(onRequest) ? onRequest.indexOf(hook) : -1;
  if (index > 0) (onRequest as unknown[]).unshift(...(onRequest as unknown[]).splice(index, 1));
  const children = inner(instance, 'fastify.children');
  if (Array.isArray(children)) for (const child of children) moveToFront(child as object, hook);
}

/** What an instance keeps under a symbol of Fastify's. */
function inner(instance: object, description: string): unknown {
  const symbol = Object.getOwnPropertySymbols(instance).find((each) => each.description === description);
  return symbol && (instance as Record<symbol, unknown>)[symbol];
}
