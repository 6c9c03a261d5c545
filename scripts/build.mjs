/**
 * Builds the library twice: dist/esm for `import`, dist/cjs for `require`.
 * With --if-stale it does so only when a source is newer than the last complete build.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const TSC = 'node_modules/typescript/bin/tsc';
const SOURCES = ['lib', 'package.json', 'tsconfig.json', 'tsconfig.esm.json', 'tsconfig.cjs.json'];
/** What `bin` in package.json names. */
const PROGRAM = 'dist/esm/cli/main.js';
/** Makes Node and TypeScript read dist/cjs as CommonJS; written last, so it also says that the build is complete. */
const MARK = 'dist/cjs/package.json';

if (process.argv.includes('--if-stale') && (await isFresh())) process.exit(0);
process.exitCode = await build();

async function build() {
  await rm('dist', { recursive: true, force: true });
  const codes = await Promise.all([tsc('tsconfig.esm.json'), tsc('tsconfig.cjs.json')]);
  const failed = codes.find((code) => code !== 0);
  if (failed !== undefined) return failed;

  await chmod(PROGRAM, 0o755); // TypeScript keeps the first line, and makes no program of it
  await mkdir('dist/cjs', { recursive: true });
  await writeFile(MARK, '{ "type": "commonjs" }\n');
  return 0;
}

/** Both print the same mistakes at once; so each one's output stays together and says whose it is. */
function tsc(project) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [TSC, '--project', project, '--pretty', 'false']);
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      if (output) console.error(`${project}\n${output}`);
      resolve(code ?? 1);
    });
  });
}

async function isFresh() {
  const built = await stat(MARK).catch(() => undefined);
  if (!built) return false;
  const times = await Promise.all(SOURCES.map(newest));
  return Math.max(...times) <= built.mtimeMs;
}

/** The latest change below a path; a folder's own time counts, since it moves when a file is deleted. */
async function newest(path) {
  const found = await stat(path);
  if (!found.isDirectory()) return found.mtimeMs;
  const entries = await readdir(path);
  const times = await Promise.all(entries.map((entry) => newest(`${path}/${entry}`)));
  return Math.max(found.mtimeMs, ...times);
}
