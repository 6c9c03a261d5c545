import { type Command, Option } from 'commander';
import { duration, wholeNumber } from './arguments.js';
import { clearSessions, DEFAULT_PAUSE } from '../sweep/clear-sessions.js';
import { interruptedError } from './interruption.js';
import { addStoreOptions, type OnStore, onStore, type StoreOptions, type Surroundings } from './on-store.js';
import { type Progress, showProgress } from './progress.js';
import { expiredCountOf } from './stats.js';
import { counted } from './texts.js';

interface ClearOptions extends StoreOptions {
  readonly dryRun?: boolean;
  readonly batchSize: number;
  readonly pause: number | string;
}

export function addClearCommand(program: Command, surroundings: Surroundings): void {
  const batchSize = new Option('--batch-size <number>', 'at most so many sessions in one statement');
  const pause = new Option('--pause <duration>', 'time for others between two batches, such as 50ms');
  addStoreOptions(program.command('clear').description('delete the sessions that have expired'))
    .option('--dry-run', 'delete nothing, say how many it would be')
    .addOption(batchSize.argParser(wholeNumber).default(1_000))
    .addOption(pause.argParser(duration).default(DEFAULT_PAUSE))
    .action((options: ClearOptions) => onStore(options, surroundings, (on) => clear(options, on)));
}

async function clear(options: ClearOptions, on: OnStore): Promise<void> {
  const { store, storeName, terminal } = on;
  if (store.expiresByItself) {
    if (options.json) return terminal.printJson({ deleted: 0, expiresByItself: true });
    return terminal.print(`Sessions in ${storeName} expire by themselves: there is nothing to clear.`);
  }
  return options.dryRun ? countOnly(options, on) : deleteThem(options, on);
}

async function countOnly({ json }: ClearOptions, on: OnStore): Promise<void> {
  const { store, terminal, interruption } = on;
  const expired = await interruption.race(store.countExpired());
  if (json) return terminal.printJson({ wouldDelete: expired });
  terminal.print(`${counted(expired, 'expired session')} would be deleted.`);
}

async function deleteThem({ batchSize, pause, json }: ClearOptions, on: OnStore): Promise<void> {
  const { app, terminal, interruption } = on;
  const { signal } = interruption;
  let progress: Progress | undefined;
  if (!json) {
    const total = terminal.isWatched ? await interruption.race(expiredCountOf(on.store)) : undefined;
    progress = showProgress(terminal, total);
    signal.addEventListener('abort', () =>
      terminal.note('\nStopping after this batch. Ctrl-C again: at once.'),
    );
  }
  let deleted: number;
  try {
    const onProgress = (done: number) => progress?.update(done);
    deleted = await clearSessions(app, { batchSize, pause, signal, onProgress });
  } finally {
    progress?.stop();
  }

  if (json) terminal.printJson({ deleted, interrupted: signal.aborted });
  else terminal.print(`${counted(deleted, 'expired session')} deleted.`);
  if (signal.aborted)
    throw interruptedError('Interrupted after the batch in hand: run it again for the rest.');
}
