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
/** A session behind a server costs at most so many times what one that is written by hand costs. */
const FLOOR_GOAL = 1.6;
const PLATFORMS = { memory: ['fastify', 'express'], redis: ['fastify', 'express'], postgres: ['express'] };
const OURS = 'nest-session';
const FLOOR = 'written by hand';

const { quick, store } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, store: { type: 'string', default: 'memory' } },
}).values;
/** Where a process puts its code and how it compiles it differs; several of them even that out. */
const size = quick
  ? { processes: 1, rounds: 8, requests: 1_500 }
  : { processes: 5, rounds: 16, requests: 2_000 };

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

const built = spawnSync(process.execPath, [file('../scripts/build.mjs'), '--if-stale'], { stdio: 'inherit' });
if (built.status !== 0) process.exit(1);

const platforms = PLATFORMS[store];
if (!platforms) throw new Error(`--store is ${Object.keys(PLATFORMS).join(', ')}.`);
const { rounds, traffic } = await measureAll();
printTable(rounds);
if (store !== 'memory') printTraffic(traffic);
printGoals(rounds);

/** Alternates the platforms' processes, and puts the rounds of all into one list. */
async function measureAll() {
  const all = { rounds: {}, traffic: {} };
  for (let i = 0; i < size.processes; i++) {
    for (const platform of platforms) {
      const measured = await measure(platform);
      all.traffic[platform] = measured.traffic;
      const known = (all.rounds[platform] ??= {});
      for (const [route, applications] of Object.entries(measured.rounds))
        for (const [name, each] of Object.entries(applications))
          ((known[route] ??= {})[name] ??= []).push(...each);
    }
  }
  return all;
}

/** Runs worker.js in a process of its own, on one core where `taskset` is there: threads of V8 count, and do not wander. */
function measure(platform) {
  const worker = [process.execPath, file('worker.js'), platform, store, size.rounds, size.requests].map(
    String,
  );
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

/** Commands and bytes between the application and its server, per request. */
function printTraffic(all) {
  for (const [platform, routes] of Object.entries(all)) {
    const rows = Object.entries(routes).map(([route, applications]) => {
      const cells = Object.entries(applications)
        .filter(([name]) => name !== 'none' && name !== 'baseline')
        .map(([name, { commands, bytes }]) => [
          name,
          `${commands.toFixed(2)} commands, ${bytes.toFixed(0)} bytes`,
        ]);
      return [`${platform} ${route}`, Object.fromEntries(cells)];
    });
    console.table(Object.fromEntries(rows));
  }
}

function printGoals(all) {
  for (const [platform, routes] of Object.entries(all)) {
    for (const [route, { baseline, [OURS]: ours, [FLOOR]: floor, ...others }] of Object.entries(routes)) {
      const added = (list) => difference(list, baseline).median;
      const mine = added(ours);
      if (store === 'memory' && platform === 'fastify')
        say(`fastify ${route} ≤ ${GOALS[route]} µs: ${mine.toFixed(1)} µs`, mine <= GOALS[route]);
      if (floor && route !== 'unused' && platform === 'fastify') {
        const ratio = mine / added(floor);
        say(
          `fastify ${route} ≤ ${FLOOR_GOAL} times what is written by hand: ${ratio.toFixed(2)}`,
          ratio <= FLOOR_GOAL,
        );
      }
      for (const [name, peer] of Object.entries(others)) {
        if (name === 'none') continue;
        const theirs = added(peer);
        const ratio = mine > 0.05 ? `, ${(theirs / mine).toFixed(1)} times as much` : '';
        say(
          `${name} costs more, ${route}: ${theirs.toFixed(1)} µs against ${mine.toFixed(1)} µs${ratio}`,
          theirs > mine,
        );
      }
    }
  }
}

function say(what, isMet) {
  console.log(`${what} ${isMet ? 'met' : 'NOT MET'}`);
}
