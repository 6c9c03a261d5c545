import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformFile } from '@swc/core';

const root = fileURLToPath(new URL('../..', import.meta.url));
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
  /** The library as JavaScript, where its imports find the packages. */
  #compiled = '';
  #running: ChildProcess[] = [];

  /** @param opener a module that exports `open`, as a path from this folder */
  constructor(opener: string) {
    this.#opener = fileURLToPath(new URL(opener, import.meta.url));
  }

  async compile(): Promise<void> {
    await mkdir(join(root, 'node_modules/.cache'), { recursive: true });
    this.#compiled = await mkdtemp(join(root, 'node_modules/.cache/nest-session-'));
    await writeFile(join(this.#compiled, 'package.json'), '{ "type": "module" }');
    const sources = await readdir(join(root, 'lib'), { recursive: true });
    await Promise.all(sources.filter((path) => path.endsWith('.ts')).map((path) => this.#compileFile(path)));
  }

  /** Starts processes, lets them begin at the same time, and gives what each of them saw. */
  async run(plans: readonly ProcessPlan[], env: Record<string, string> = {}): Promise<unknown[]> {
    this.#running = plans.map(() =>
      fork(worker, { env: { ...process.env, NODE_OPTIONS: '', ...env }, execArgv: [] }),
    );
    await Promise.all(
      this.#running.map(async (child, index) => {
        child.send({ library: this.#compiled, opener: this.#opener, ...plans[index] });
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
    if (this.#compiled !== '') await rm(this.#compiled, { recursive: true, force: true });
  }

  async #compileFile(path: string): Promise<void> {
    const { code } = await transformFile(join(root, 'lib', path), {
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
      },
      module: { type: 'es6' },
    });
    const target = join(this.#compiled, path.replace(/\.ts$/, '.js'));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, code);
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
