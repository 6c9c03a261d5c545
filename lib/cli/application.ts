import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { INestApplicationContext, LoggerService } from '@nestjs/common';
import type { NestFactory } from '@nestjs/core';
import { rootModuleOf } from './app-module.js';
import { messageOf, startError, withoutCredentials } from './described-error.js';
import { CommandError, EXIT } from './exit-codes.js';
import type { Terminal } from './terminal.js';

/** Where a Nest application is found that nobody named. */
const USUAL_PLACES = ['dist/app.module.js', 'dist/src/app.module.js'];

/** A module may never come to an end; the command does. */
const CLOSE_TIMEOUT_MS = 10_000;

/**
 * Starts the application that a file exports, without its server.
 *
 * @param app `dist/app.module.js`, or `dist/app.module.js#AppModule`; undefined or '' (an empty NEST_SESSION_APP): where it usually is
 * @throws CommandError when it can't be found, loaded or started
 */
export async function startApplication(
  app: string | undefined,
  isDebug: boolean,
  terminal: Terminal,
): Promise<INestApplicationContext> {
  const { file, path, name } = locate(app || usualPlace());
  const namespace = await loading(file, () => import(pathToFileURL(path).href) as Promise<object>);
  const nest = await loading(file, () => nestCoreOf(path));
  try {
    const module = await rootModuleOf(namespace, file, name);
    const logger = new StartLogger(terminal, isDebug);
    return await nest.NestFactory.createApplicationContext(module, { logger, abortOnError: false });
  } catch (error) {
    throw error instanceof CommandError ? error : startError('The application did not start', error);
  }
}

/** Ends it; an application that will not end is left behind after a while. */
export async function closeApplication(app: INestApplicationContext, terminal: Terminal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), CLOSE_TIMEOUT_MS);
  });
  try {
    if ((await Promise.race([app.close(), late])) === 'late')
      terminal.note(`The application did not close within ${CLOSE_TIMEOUT_MS / 1000} s: left as it is.`);
  } catch (error) {
    terminal.note(startError('The application did not close cleanly', error).message);
  } finally {
    clearTimeout(timer);
  }
}

function usualPlace(): string {
  const found = USUAL_PLACES.find((file) => existsSync(file));
  if (found) return found;
  const places = USUAL_PLACES.join(' and no ');
  const help =
    'build the application, or write --app with the compiled file of its root module, or set NEST_SESSION_APP';
  throw new CommandError(EXIT.usage, `There is no ${places} here: ${help}.`);
}

function locate(app: string): { file: string; path: string; name?: string } {
  const [, file = app, name] = /^(.+)#(.*)$/.exec(app) ?? [];
  if (name === '') throw new CommandError(EXIT.usage, `--app ${app} names no export after the #.`);
  if (!existsSync(file)) {
    const help = 'build the application first, and name the compiled file of its root module';
    throw new CommandError(EXIT.failed, `There is no ${file} in ${process.cwd()}: ${help}.`);
  }
  return { file, path: realpathSync(resolve(file)), name };
}

async function loading<T>(file: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const hint = /\.[cm]?ts$/.test(file) ? ' (it is TypeScript: name the compiled file)' : '';
    throw startError(`${file} could not be loaded${hint}`, error);
  }
}

/** Nest as the application has it: we may run from npx's cache, with another copy or none. */
function nestCoreOf(path: string): Promise<{ NestFactory: typeof NestFactory }> {
  const core = createRequire(path).resolve('@nestjs/core');
  return import(pathToFileURL(core).href) as Promise<{ NestFactory: typeof NestFactory }>;
}

/** Of what Nest and its modules log at the start, errors alone, in a line each; that of the end we tell ourselves. */
class StartLogger implements LoggerService {
  constructor(
    private readonly terminal: Terminal,
    private readonly isDebug: boolean,
  ) {}

  /** @param details a stack and a context, either of which may be missing */
  error(message: unknown, ...details: unknown[]): void {
    const texts = details.filter((detail) => typeof detail === 'string');
    const context = texts.find((text) => !text.includes('\n'));
    if (context === 'ExceptionHandler') return;
    const stack = this.isDebug ? texts.find((text) => text !== context) : undefined;
    const lines = [typeof message === 'string' ? message : messageOf(message), stack];
    const text = lines.filter((line) => line !== undefined).join('\n');
    this.terminal.note(withoutCredentials(context === undefined ? text : `[${context}] ${text}`));
  }

  fatal(message: unknown, ...details: unknown[]): void {
    this.error(message, ...details);
  }

  log(): void {}

  warn(): void {}
}
