import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type CompiledLibrary, compileLibrary } from './compiled-library.js';

const worker = fileURLToPath(new URL('session-process.mjs', import.meta.url));

/** What one process does: a task of session-process.mjs, on the store that an opener opens with `options`. */
export interface ProcessPlan {
  readonly task: 'hammer' | 'hammerUntilGone' | 'end' | 'writeOnce' | 'look';
  readonly options: unknown;
  readonly [argument: string]: unknown;
}

/**
 * Processes that work on one store at the same time, as those of an application behind a load balancer do.
 *
 * @example
 * const processes = new Processes('../stores/redis-opener.mjs'); // exports open(library, options)
 * beforeAll(() => processes.compile());
 * afterEach(() => processes.kill());
 * afterAll(() => processes.remove());
 */
export class Processes {
  readonly #opener: string;
  #library: CompiledLibrary | undefined;
  #running: ChildProcess[] = [];

  /** @param opener a module that exports `open`, as a path from this folder */
  constructor(opener: string) {
    this.#opener = fileURLToPath(new URL(opener, import.meta.url));
  }

  async compile(): Promise<void> {
    this.#library = await compileLibrary();
  }

  /** Starts processes, lets them begin at the same time, and gives what each of them saw. */
  async run(plans: readonly ProcessPlan[], env: Record<string, string> = {}): Promise<unknown[]> {
    this.#running = plans.map(() =>
      fork(worker, { env: { ...process.env, NODE_OPTIONS: '', ...env }, execArgv: [] }),
    );
    await Promise.all(
      this.#running.map(async (child, index) => {
        child.send({ library: this.#library?.path, opener: this.#opener, ...plans[index] });
        await answerOf(child);
      }),
    );
    const answers = Promise.all(this.#running.map(answerOf));
    for (const child of this.#running) child.send('go');
    return (await answers).map((answer) => (answer as { done: unknown }).done);
  }

  kill(): void {
    for (const child of this.#running.splice(0)) child.kill();
  }

  async remove(): Promise<void> {
    await this.#library?.remove();
  }
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const stop = new AbortController();
  const exited = once(child, 'exit', { signal: stop.signal }).then(([code]) => {
    throw new Error(`The process ended with ${String(code)}.`);
  });
  try {
    const [answer] = (await Promise.race([once(child, 'message', { signal: stop.signal }), exited])) as [
      unknown,
    ];
    return answer;
  } finally {
    exited.catch(() => undefined);
    stop.abort();
  }
}
