import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformFile } from '@swc/core';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * What a store needs of Nest, which takes most of the time that a process needs to start: too much where a test starts
 * hundreds of them.
 */
const LITTLE_NEST = `
  const decorate = () => () => undefined;
  export { decorate as Inject, decorate as Injectable, decorate as Optional };
  export class Logger { log() {} warn() {} error() {} }
  export class ConflictException extends Error {}
  export class ForbiddenException extends Error {}
  export class NotFoundException extends Error {}
  export class UnauthorizedException extends Error {}
  export class ServiceUnavailableException extends Error {}
`;

/** A compiled library, in a folder of its own. */
export interface CompiledLibrary {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * The library as JavaScript, for processes of their own: where its imports find the packages.
 *
 * @param littleNest in Nest's place stands what a store needs of it
 */
export async function compileLibrary({ littleNest = false } = {}): Promise<CompiledLibrary> {
  await mkdir(join(root, 'node_modules/.cache'), { recursive: true });
  const path = await mkdtemp(join(root, 'node_modules/.cache/nest-session-'));
  await writeFile(join(path, 'package.json'), '{ "type": "module" }');
  if (littleNest) {
    const nest = join(path, 'node_modules/@nestjs/common');
    await write(join(nest, 'package.json'), '{ "type": "module", "main": "nest.js" }');
    await write(join(nest, 'nest.js'), LITTLE_NEST);
  }
  const sources = await readdir(join(root, 'lib'), { recursive: true });
  await Promise.all(
    sources.filter((source) => source.endsWith('.ts')).map((source) => compile(source, path)),
  );
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

async function compile(source: string, into: string): Promise<void> {
  const { code } = await transformFile(join(root, 'lib', source), {
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
    },
    module: { type: 'es6' },
  });
  await write(join(into, source.replace(/\.ts$/, '.js')), code);
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
