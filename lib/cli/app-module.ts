import type { DynamicModule, Type } from '@nestjs/common';
import { CommandError, EXIT } from './exit-codes.js';

/** What Nest makes an application of. */
export type RootModule = Type | DynamicModule;

/** What `@Module()` writes to a class, by the names of its properties. */
const MODULE_METADATA = ['imports', 'controllers', 'providers', 'exports'];

/**
 * Finds the root module among the exports of a file: a class, a dynamic module, or a function that gives one.
 *
 * Without a name it is the default export, or the only module that is exported; a function is called only by its name
 * or as the default export, for it might be the one that starts the server.
 *
 * @param namespace what `import()` gave
 * @param file as the user wrote it, for the message
 * @throws CommandError which names the exports
 */
export async function rootModuleOf(namespace: object, file: string, name?: string): Promise<RootModule> {
  const exported = exportsOf(namespace);
  if (name !== undefined && !exported.has(name)) throw failure(file, `has no export ${name}`, exported);

  const chosen = name ?? onlyModuleIn(exported, file);
  const value = await exported.get(chosen);
  const made: unknown = isFactory(value) ? await value() : value;
  if (isClass(made) || isDynamicModule(made)) return made;
  throw failure(file, `exports ${chosen}, which is no module and no function that gives one`, exported);
}

function onlyModuleIn(exported: ReadonlyMap<string, unknown>, file: string): string {
  const value = exported.get('default');
  if (isClass(value) || isDynamicModule(value) || isFactory(value) || value instanceof Promise)
    return 'default';
  const names = [...exported.keys()].filter((name) => isModule(exported.get(name)));
  if (names.length === 1) return names[0];
  if (names.length === 0) throw failure(file, 'exports no module', exported);
  const write = `write --app ${file}#${names[0]}`;
  throw new CommandError(EXIT.failed, `${file} exports several modules (${names.join(', ')}): ${write}.`);
}

/** CommonJS comes as `default`; what TypeScript compiled to it has its own `default` in there. */
function exportsOf(namespace: object): ReadonlyMap<string, unknown> {
  const whole = (namespace as { default?: unknown }).default;
  const isCompiled = typeof whole === 'object' && whole !== null && '__esModule' in whole;
  const isNamed = (name: string) => name !== '__esModule' && name !== 'module.exports';
  return new Map(Object.entries(isCompiled ? whole : namespace).filter(([name]) => isNamed(name)));
}

function isModule(value: unknown): boolean {
  return isDynamicModule(value) || (typeof value === 'function' && hasModuleMetadata(value));
}

function isDynamicModule(value: unknown): value is DynamicModule {
  return (
    typeof value === 'object' && value !== null && 'module' in value && typeof value.module === 'function'
  );
}

/** `@Module({})` writes no metadata, so that a class counts that was named. */
function isClass(value: unknown): value is Type {
  if (typeof value !== 'function') return false;
  return hasModuleMetadata(value) || Function.prototype.toString.call(value).startsWith('class');
}

function isFactory(value: unknown): value is () => unknown {
  return typeof value === 'function' && !isClass(value);
}

/** The application has brought reflect-metadata, or else it has no modules. */
function hasModuleMetadata(target: object): boolean {
  const { hasOwnMetadata } = Reflect as { hasOwnMetadata?: (key: string, target: object) => boolean };
  return MODULE_METADATA.some((key) => hasOwnMetadata?.(key, target));
}

function failure(file: string, what: string, exported: ReadonlyMap<string, unknown>): CommandError {
  const names = [...exported.keys()].join(', ');
  const there = names ? `its exports are ${names}` : 'it exports nothing';
  const help = 'name the compiled file of the root module, such as --app dist/app.module.js#AppModule';
  return new CommandError(EXIT.failed, `${file} ${what} (${there}): ${help}.`);
}
