import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addClearCommand } from './clear.js';
import { stackOf, startError } from './described-error.js';
import { CommandError, EXIT, EXIT_CODES_HELP, type ExitCode } from './exit-codes.js';
import { addListCommand } from './list.js';
import type { Surroundings } from './on-store.js';
import { addRevokeCommand } from './revoke.js';
import { addSecretCommand } from './secret.js';
import { addStatsCommand } from './stats.js';

/**
 * Runs one command.
 *
 * @param args what stands behind the program's name
 */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  try {
    await createProgram(surroundings).parseAsync(args, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage; // it has told
    return tell(error, args.includes('--debug'), surroundings);
  }
}

/** Prints what went wrong; where it comes from only for those who ask, for it may be long. */
export function tell(error: unknown, isDebug: boolean, { terminal }: Surroundings): ExitCode {
  const { exitCode, message, cause } =
    error instanceof CommandError ? error : startError('Something failed that nobody waited for', error);
  terminal.note(message);
  if (isDebug && cause !== undefined) terminal.note(stackOf(cause));
  return exitCode;
}

function createProgram(surroundings: Surroundings): Command {
  const program = new Command('nest-session')
    .description('Looks after the sessions of a Nest application, through its own module and options.')
    .version(ownVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .addHelpText('afterAll', EXIT_CODES_HELP)
    .showHelpAfterError('(--help shows what there is)')
    .exitOverride();
  addClearCommand(program, surroundings);
  addStatsCommand(program, surroundings);
  addListCommand(program, surroundings);
  addRevokeCommand(program, surroundings);
  addSecretCommand(program, surroundings);
  return program;
}

/** From dist/esm/cli: the program runs nowhere else. */
function ownVersion(): string {
  const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
