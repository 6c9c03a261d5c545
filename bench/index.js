/**
 * What a session costs: CPU time added to a request, for nest-session and for the session library of each platform.
 * README.md beside this file says what is measured and how. `--quick` takes a tenth of the time, with more noise.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { difference, inWords, median } from './statistics.js';

/** Added µs of CPU per request on Fastify, with the memory store. */
const GOALS = { unused: 1, read: 10, write: 20 };
const PEERS = { fastify: '@fastify/session', express: 'express-session' };

const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values;
/** Where a process puts its code and how it compiles it differs; several of them even that out. */
const size = quick
  ? { processes: 1, rounds: 8, requests: 1_500 }
  : { processes: 5, rounds: 16, requests: 2_000 };

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

const built = spawnSync(process.execPath, [file('../scripts/build.mjs'), '--if-stale'], { stdio: 'inherit' });
if (built.status !== 0) process.exit(1);

const results = await measureAll();
printTable(results);
printGoals(results);

/** Alternates the platforms' processes, and puts the rounds of all into one list. */
async function measureAll() {
  const all = {};
  for (let i = 0; i < size.processes; i++) {
    for (const platform of Object.keys(PEERS)) {
      const routes = await measure(platform);
      const known = (all[platform] ??= {});
      for (const [route, applications] of Object.entries(routes))
        for (const [name, rounds] of Object.entries(applications))
          ((known[route] ??= {})[name] ??= []).push(...rounds);
    }
  }
  return all;
}

/** Runs worker.js in a process of its own, on one core where `taskset` is there: threads of V8 count, and do not wander. */
function measure(platform) {
  const worker = [process.execPath, file('worker.js'), platform, size.rounds, size.requests].map(String);
  const [command, ...args] = canPin() ? ['taskset', '-c', String(cpus().length - 1), ...worker] : worker;
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`The measurement of ${platform} failed.`)),
    );
  });
}

function canPin() {
  return spawnSync('taskset', ['--version']).status === 0;
}

function printTable(all) {
  const rounds = size.processes * size.rounds;
  console.log(
    `Node ${process.version}, ${cpus()[0].model}, ${canPin() ? 'one core' : 'not pinned'}; ` +
      `${rounds} rounds of ${size.requests} requests, median [middle half of the rounds]`,
  );
  for (const [platform, routes] of Object.entries(all)) {
    console.table(
      Object.fromEntries(
        Object.entries(routes).map(([route, applications]) => [`${platform} ${route}`, rowOf(applications)]),
      ),
    );
  }
}

/** CPU per request of the baseline in µs, and what every other application adds to it. */
function rowOf({ baseline, none, ...others }) {
  const row = {
    'baseline (empty interceptor)': `${median(baseline).toFixed(1)} µs`,
    'of it the interceptor': inWords(difference(baseline, none)),
  };
  for (const [name, rounds] of Object.entries(others))
    row[name] = `+ ${inWords(difference(rounds, baseline))}`;
  return row;
}

function printGoals(all) {
  for (const [route, goal] of Object.entries(GOALS)) {
    const { baseline, 'nest-session': ours } = all.fastify[route];
    const added = difference(ours, baseline).median;
    console.log(`${route} ≤ ${goal} µs: ${added.toFixed(1)} µs ${added <= goal ? 'met' : 'NOT MET'}`);
  }
  for (const [platform, peer] of Object.entries(PEERS)) {
    for (const [route, { baseline, 'nest-session': ours, [peer]: theirs }] of Object.entries(all[platform])) {
      const [mine, other] = [ours, theirs].map((rounds) => difference(rounds, baseline).median);
      const verdict = other > mine ? 'met' : 'NOT MET';
      const ratio = mine > 0.05 ? `, ${(other / mine).toFixed(1)} times as much` : '';
      console.log(
        `${peer} costs more, ${route}: ${other.toFixed(1)} µs against ${mine.toFixed(1)} µs${ratio} ${verdict}`,
      );
    }
  }
}
