import { EventEmitter } from 'node:events';
import { jest } from '@jest/globals';

/** Jest gives tests a copy of `process` that hears nothing. A function of Node's own realm still knows the real one. */
export const realProcess = (EventEmitter.constructor as FunctionConstructor)(
  'return process',
)() as NodeJS.Process;

/** Fastify's inject() needs a CommonJS module that requires an ES module, which Node can and Jest cannot on Node 20. */
export function makeInjectWork(): void {
  const { createRequire } = realProcess.getBuiltinModule('node:module');
  const requireOfNode = createRequire(import.meta.url);
  const path = createRequire(requireOfNode.resolve('fastify')).resolve('light-my-request');
  jest.mock('light-my-request', () => requireOfNode(path) as object);
}
