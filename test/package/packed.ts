import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A folder outside the repository, so that nothing is found in it that a user would not have; removed with `remove()`. */
export interface Elsewhere {
  readonly path: string;
  /** The library as `npm publish` would send it. */
  readonly tarball: string;
  remove(): Promise<void>;
}

/** Packs what `npm run build` left in dist/ into a new folder. */
export async function packElsewhere(): Promise<Elsewhere> {
  const path = await mkdtemp(join(tmpdir(), 'nest-session-'));
  const printed = await npm(['pack', '--ignore-scripts', '--json', '--pack-destination', path], root);
  const { filename } = firstOf(JSON.parse(printed));
  return {
    path,
    tarball: join(path, filename),
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

/** npm 10 and 11 print a list, later ones an object by package name. */
function firstOf(packed: { filename: string }[] | Record<string, { filename: string }>): {
  filename: string;
} {
  return Object.values(packed)[0];
}

/** The files of the package in `folder`/node_modules/nest-session, unlinked to anything. */
export async function unpack(tarball: string, folder: string): Promise<string> {
  const target = join(folder, 'node_modules/nest-session');
  await mkdir(target, { recursive: true });
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', target], folder);
  return target;
}

/** The npm that runs these tests. */
export function npm(args: string[], cwd: string): Promise<string> {
  const path = process.env.npm_execpath;
  return path ? node([path, ...args], cwd) : run('npm', args, cwd);
}

export function node(args: string[], cwd: string): Promise<string> {
  return run(process.execPath, args, cwd);
}

/** What the command printed to its standard output; an error with all it printed when it failed. */
export function run(command: string, args: string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let all = '';
    child.stdout.on('data', (chunk: Buffer) => ((stdout += String(chunk)), (all += String(chunk))));
    child.stderr.on('data', (chunk: Buffer) => (all += String(chunk)));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}:\n${all}`));
    });
  });
}

/** Ours, without what npm and Jest tell their own children (which folder is the project, which flags to use). */
function environment(): NodeJS.ProcessEnv {
  const own =
    /^(npm_(package|lifecycle|command|config_local_prefix)|JEST_|NODE_OPTIONS$|NODE_ENV$|NODE_TEST)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)));
}
