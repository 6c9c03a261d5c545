import { CommandError, EXIT } from './exit-codes.js';

/** Ctrl-C, or SIGTERM: the first asks the command to come to an end, the second ends the process at once. */
export class Interruption {
  readonly #controller = new AbortController();

  constructor() {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => this.#interrupt());
  }

  /** For work that goes on to a point where it can be left. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Waits for something that can be left at any time, such as a start or a count.
   *
   * @throws CommandError at the first signal
   */
  async race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    let leave: (() => void) | undefined;
    const interrupted = new Promise<never>((_, reject) => {
      leave = () => reject(interruptedError());
      signal.addEventListener('abort', leave);
      if (signal.aborted) leave();
    });
    try {
      return await Promise.race([work, interrupted]);
    } finally {
      signal.removeEventListener('abort', leave!);
    }
  }

  #interrupt(): void {
    if (this.signal.aborted) process.exit(EXIT.interrupted);
    this.#controller.abort();
  }
}

export function interruptedError(message = 'Interrupted.'): CommandError {
  return new CommandError(EXIT.interrupted, message);
}
