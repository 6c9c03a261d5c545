/**
 * Installs the dependencies when they are missing or not those of package-lock.json, and says nothing otherwise.
 * `npm start` and `npm test` call it first, so that they work on a fresh clone. It may use nothing but Node and npm.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

if (!isInstalled()) {
  console.log('Installing the dependencies (npm ci); the first time this takes a minute or two.');
  // Without its warnings: of 52 lines on Node 20 (EBADENGINE) each is about a development tool that runs there all the same.
  process.exitCode = npm('ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error');
}

/** npm notes what it installed in node_modules/.package-lock.json, and writes that file last. */
function isInstalled() {
  const installed = packagesOf('node_modules/.package-lock.json');
  if (!installed) return false;
  return Object.entries(packagesOf('package-lock.json') ?? {}).every(
    ([path, { version, optional }]) =>
      path === '' || (optional && !installed[path]) || installed[path]?.version === version,
  );
}

function packagesOf(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** Runs the npm that runs this script; by its path, because `npm` is a .cmd file on Windows. */
function npm(...args) {
  const path = process.env.npm_execpath;
  const { status, error } = path
    ? spawnSync(process.execPath, [path, ...args], { stdio: 'inherit' })
    : spawnSync('npm', args, { stdio: 'inherit', shell: process.platform === 'win32' });
  if (error) console.error(error.message);
  return status ?? 1;
}
