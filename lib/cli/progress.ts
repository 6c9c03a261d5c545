import cliProgress from 'cli-progress';
import type { Terminal } from './terminal.js';

/** How often a log without a terminal hears how far we are. */
const LINE_EVERY_MS = 1_000;

/** Shows how far a long command is. */
export interface Progress {
  update(done: number): void;
  stop(): void;
}

/**
 * A bar on a terminal, otherwise a line a second.
 *
 * @param total how many there are to do, if that is known
 */
export function showProgress(terminal: Terminal, total?: number): Progress {
  return terminal.isWatched && total ? progressBar(total) : progressLines(terminal, total);
}

function progressBar(total: number): Progress {
  const bar = new cliProgress.SingleBar({
    format: '{bar} {percentage}% | {value} of {total} | {eta_formatted} left',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    stream: process.stderr,
    hideCursor: true,
    gracefulExit: false, // what a signal does is the command's to say
  });
  bar.start(total, 0);
  return {
    update(done) {
      if (done > bar.getTotal()) bar.setTotal(done); // more have expired meanwhile
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}

function progressLines(terminal: Terminal, total?: number): Progress {
  let last = performance.now();
  return {
    update(done) {
      if (performance.now() - last < LINE_EVERY_MS) return;
      last = performance.now();
      terminal.note(total ? `${done} of ${total} deleted` : `${done} deleted`);
    },
    stop: () => undefined,
  };
}
