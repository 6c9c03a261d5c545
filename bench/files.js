/**
 * What loads and saves of FileSessionStore take among many files, next to a thousand: `node bench/files.js`, or with
 * `--files 1000000`. Makes its sessions in a temporary folder, and removes them. The two stores take turns, so that
 * whatever else the machine does meets both.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './statistics.js';

const FEW = 1_000;
const GOAL = 1.5;
const ROUNDS = 40;
const COMMANDS_A_ROUND = 100;

const { values: options } = parseArgs({ options: { files: { type: 'string', default: '100000' } } });
const many = Number(options.files);

const build = fileURLToPath(new URL('../scripts/build.mjs', import.meta.url));
if (spawnSync(process.execPath, [build, '--if-stale'], { stdio: 'inherit' }).status !== 0) process.exit(1);
const { FileSessionStore } = await import('../dist/esm/index.js');

const folder = await mkdtemp(join(tmpdir(), 'nest-session-bench-'));
let isMet;
try {
  isMet = await measure();
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exitCode = isMet ? 0 : 1;

async function measure() {
  const stores = { few: await filledStore('few', FEW), many: await filledStore('many', many) };
  const commands = {
    load: (store, key) => store.load(key),
    save: (store, key) => store.save(key, change()),
    touch: (store, key) => store.touch(key, change()),
  };
  let worst = 0;
  for (const [name, command] of Object.entries(commands)) {
    const rounds = { few: [], many: [] };
    for (let round = 0; round < ROUNDS; round++)
      for (const size of ['few', 'many']) rounds[size].push(await timeOf(stores[size], command));
    const [few, all] = [median(rounds.few), median(rounds.many)];
    const ratio = all / few;
    if (name !== 'touch') worst = Math.max(worst, ratio);
    console.log(
      `${name}: ${few.toFixed(0)} µs among ${FEW} files, ${all.toFixed(0)} µs among ${many}, ratio ${ratio.toFixed(2)}`,
    );
  }
  console.log(`ratio ≤ ${GOAL}: ${worst.toFixed(2)} ${worst <= GOAL ? 'met' : 'NOT MET'}`);
  return worst <= GOAL;
}

/** Fills a store with copies of a session that the store itself wrote: a thousand times as fast as to ask it for each. */
async function filledStore(name, files) {
  const directory = join(folder, name);
  const store = new FileSessionStore({ directory });
  const keys = Array.from({ length: files }, () => randomBytes(32).toString('hex'));
  await store.create(keys[0], record());
  const pathOf = (key) => join(directory, 'sessions', key.slice(0, 3), key);
  const text = await readFile(pathOf(keys[0]), 'utf8');
  for (let shard = 0; shard < 4096; shard++)
    mkdirSync(join(directory, 'sessions', shard.toString(16).padStart(3, '0')), {
      recursive: true,
      mode: 0o700,
    });
  for (const key of keys) writeFileSync(pathOf(key), text, { mode: 0o600 });
  return { store, keys };
}

/** Microseconds a command, one after the other, each on a session picked at random. */
async function timeOf({ store, keys }, command) {
  const picked = Array.from(
    { length: COMMANDS_A_ROUND },
    () => keys[Math.floor(Math.random() * keys.length)],
  );
  const began = performance.now();
  for (const key of picked) await command(store, key);
  return ((performance.now() - began) * 1_000) / COMMANDS_A_ROUND;
}

function record() {
  const now = Date.now();
  const times = { createdAt: now, lastSeenAt: now, expiresAt: now + 1e9, absoluteExpiresAt: now + 1e10 };
  const values = { cart: JSON.stringify(['tea', 'cup'].concat(Array(20).fill('a thing'))), theme: '"dark"' };
  return { format: 1, handle: '0'.repeat(32), values, policy: '', ...times };
}

function change() {
  const now = Date.now();
  return { set: { views: String(now) }, removed: [], lastSeenAt: now, expiresAt: now + 1e9, basedOn: '' };
}
