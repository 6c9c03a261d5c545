import type { INestApplicationContext } from '@nestjs/common';
import { type Command, Option } from 'commander';
import type { EpochMs, SessionClock } from '../core/clock.js';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import type { SessionStore } from '../stores/session-store.js';
import { RESOLVED_SESSION_OPTIONS, SESSION_CLOCK, SESSION_STORE } from '../tokens.js';
import { closeApplication, startApplication } from './application.js';
import { storeError } from './described-error.js';
import { CommandError, EXIT } from './exit-codes.js';
import type { Interruption } from './interruption.js';
import type { Terminal } from './terminal.js';

/** What every command can use. */
export interface Surroundings {
  readonly terminal: Terminal;
  readonly interruption: Interruption;
}

/** What a command on the sessions of an application works with. */
export interface OnStore extends Surroundings {
  readonly app: INestApplicationContext;
  readonly store: SessionStore;
  /** Its class, for messages. */
  readonly storeName: string;
  /** Until when a session that ends now is to be known as ended. */
  graceEnd(): EpochMs;
}

/** Options of every command on the sessions of an application. */
export interface StoreOptions {
  readonly app?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
}

export function addStoreOptions(command: Command): Command {
  const app = new Option(
    '--app <file[#export]>',
    'the compiled root module (default: dist/app.module.js); a class, a dynamic module, or a function that gives one',
  );
  return command
    .addOption(app.env('NEST_SESSION_APP'))
    .option('--json', 'print the result as one line of JSON')
    .option('--debug', 'show where errors come from');
}

/**
 * Starts the application, does something with its session store, and closes the application.
 *
 * @throws CommandError
 */
export async function onStore(
  options: StoreOptions,
  { terminal, interruption }: Surroundings,
  work: (on: OnStore) => Promise<void>,
): Promise<void> {
  terminal.keepResultsApart();
  const app = await interruption.race(startApplication(options.app, options.debug === true, terminal));
  try {
    const store = storeOf(app);
    const { rotationGraceMs } = app.get<ResolvedSessionOptions>(RESOLVED_SESSION_OPTIONS, { strict: false });
    const clock = app.get<SessionClock>(SESSION_CLOCK, { strict: false });
    const graceEnd = () => clock.now() + rotationGraceMs;
    await work({ terminal, interruption, app, store, storeName: store.constructor.name, graceEnd });
  } catch (error) {
    throw storeError(error);
  } finally {
    await closeApplication(app, terminal);
  }
}

/** By the token, never by the class: the application may hold the other build of this package. */
function storeOf(app: INestApplicationContext): SessionStore {
  let store: SessionStore | undefined;
  try {
    store = app.get<SessionStore>(SESSION_STORE, { strict: false });
  } catch {
    const help =
      'is it the root module, as it is configured in production? A function may give it: --app file.js#name';
    throw new CommandError(EXIT.failed, `The module has no SessionModule among its imports: ${help}.`);
  }
  if (typeof store?.load === 'function') return store;
  throw new CommandError(EXIT.unsupported, 'The application keeps no sessions on the server.');
}
