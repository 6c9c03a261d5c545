import { createInterface } from 'node:readline/promises';

/**
 * Where a command prints: results to the standard output, all else to the standard error, so that a pipe gets results
 * alone.
 */
export class Terminal {
  readonly #print = process.stdout.write.bind(process.stdout);

  constructor() {
    // `nest-session list | head` closes the pipe before we have ended: that is no failure.
    process.stdout.on('error', () => undefined);
  }

  /** Somebody sits there who sees a progress bar. */
  get isWatched(): boolean {
    return process.stderr.isTTY === true;
  }

  /** Somebody sits there who can answer. */
  get canAsk(): boolean {
    return this.isWatched && process.stdin.isTTY === true;
  }

  print(line: string): void {
    this.#print(`${line}\n`);
  }

  printJson(value: unknown): void {
    this.print(JSON.stringify(value));
  }

  note(line: string): void {
    process.stderr.write(`${line}\n`);
  }

  /** What the application prints from now on goes to the standard error: it must not stand among the results. */
  keepResultsApart(): void {
    process.stdout.write = ((...args: Parameters<typeof process.stderr.write>) =>
      process.stderr.write(...args)) as typeof process.stdout.write;
  }

  /**
   * Asks a question that only `y` or `yes` answers with yes.
   *
   * @throws AbortError at the signal
   */
  async confirm(question: string, signal: AbortSignal): Promise<boolean> {
    // Not as a terminal of its own: there Ctrl-C would be a character, and no signal.
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
    const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
    try {
      const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal }), ended]);
      return /^y(es)?$/i.test(answer.trim());
    } finally {
      lines.close();
    }
  }

  /** Waits until all has been written: a process that exits takes along what a pipe has not taken yet. */
  async drain(): Promise<void> {
    await new Promise((resolve) => this.#print('', resolve));
    await new Promise((resolve) => process.stderr.write('', resolve));
  }
}
