import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformFile } from '@swc/core';

const root = fileURLToPath(new URL('../..', import.meta.url));

type ModuleFormat = 'esm' | 'cjs';

/** What a command printed, and how it ended. In a terminal both outputs are one. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export class Running {
  stdout = '';
  stderr = '';
  readonly #watchers = new Set<() => void>();
  readonly ended: Promise<Outcome>;

  constructor(readonly child: ChildProcess) {
    child.stdout!.on('data', (chunk: Buffer) => this.#heard(() => (this.stdout += String(chunk))));
    child.stderr!.on('data', (chunk: Buffer) => this.#heard(() => (this.stderr += String(chunk))));
    this.ended = once(child, 'close').then(([code]) => {
      this.#heard(() => undefined);
      return { code: code as number | null, stdout: this.stdout, stderr: this.stderr };
    });
  }

  /** Waits until something that matches was printed. */
  async printed(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.stdout + this.stderr)) {
      if (this.child.exitCode !== null)
        throw new Error(`It ended without ${String(pattern)}:\n${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  /** Types on the keyboard of its terminal. */
  type(text: string): void {
    this.child.stdin!.write(text);
  }

  #heard(note: () => void): void {
    note();
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}

/**
 * The library, installed in a folder of its own as a user has it: both builds, compiled from the sources, found by
 * its name. Applications are put beside it.
 */
export class Installation {
  readonly #running = new Set<Running>();

  private constructor(readonly folder: string) {}

  static async create(formats: readonly ModuleFormat[] = ['esm', 'cjs']): Promise<Installation> {
    // Below node_modules, so that the packages of the repository are found from there.
    await mkdir(join(root, 'node_modules/.cache'), { recursive: true });
    const folder = await mkdtemp(join(root, 'node_modules/.cache/nest-session-'));
    const library = join(folder, 'node_modules/nest-session');
    await mkdir(library, { recursive: true });
    await cp(join(root, 'package.json'), join(library, 'package.json'));
    for (const format of formats) await compile(join(root, 'lib'), join(library, 'dist', format), format);
    return new Installation(folder);
  }

  /** Compiles the TypeScript of `source`, a folder of the repository, into one of the installation. */
  async addApplication(name: string, source: string, format: ModuleFormat): Promise<void> {
    await compile(join(root, source), join(this.folder, name), format);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Runs a command to its end; its outputs are pipes. */
  run(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
    return this.start(args, env).ended;
  }

  start(args: readonly string[], env: Record<string, string> = {}): Running {
    const child = spawn(process.execPath, [...this.#program(), ...args], {
      cwd: this.folder,
      env: environment(env),
    });
    child.stdin.end();
    return this.#watch(child);
  }

  /** Runs a command on a terminal of its own, 120 characters wide. */
  startInTerminal(args: readonly string[], env: Record<string, string> = {}): Running {
    const command = [process.execPath, ...this.#program(), ...args].map(quoted).join(' ');
    const child = spawn('script', ['-qefc', `stty cols 120; exec ${command}`, '/dev/null'], {
      cwd: this.folder,
      env: environment({ TERM: 'xterm', SHELL: '/bin/sh', ...env }),
    });
    return this.#watch(child);
  }

  /** Ends what still runs, and leaves nothing behind. */
  async remove(): Promise<void> {
    for (const { child, ended } of this.#running) {
      child.kill('SIGKILL');
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  #watch(child: ChildProcess): Running {
    const running = new Running(child);
    this.#running.add(running);
    void running.ended.then(() => this.#running.delete(running));
    return running;
  }

  #program(): string[] {
    return ['--disable-warning=ExperimentalWarning', join(this.folder, 'node_modules/nest-session', BIN)];
  }
}

const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  bin: Record<string, string>;
};
const BIN = manifest.bin['nest-session'];

async function compile(source: string, target: string, format: ModuleFormat): Promise<void> {
  await mkdir(target, { recursive: true });
  await writeFile(
    join(target, 'package.json'),
    JSON.stringify({ type: format === 'esm' ? 'module' : 'commonjs' }),
  );
  const files = (await readdir(source, { recursive: true })).filter((path) => path.endsWith('.ts'));
  await Promise.all(
    files
      .filter((path) => format === 'esm' || !path.startsWith('cli'))
      .map(async (path) => {
        const { code } = await transformFile(join(source, path), {
          jsc: {
            target: 'es2022',
            parser: { syntax: 'typescript', decorators: true },
            transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
            keepClassNames: true,
          },
          module: { type: format === 'esm' ? 'es6' : 'commonjs' },
        });
        const compiled = join(target, path.replace(/\.ts$/, '.js'));
        await mkdir(dirname(compiled), { recursive: true });
        await writeFile(compiled, code);
      }),
  );
}

/** Ours, without the flags that Jest is run with. */
function environment(env: Record<string, string>): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, NEST_SESSION_APP: _app, FORCE_COLOR: _color, ...rest } = process.env;
  return { ...rest, ...env };
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
