/**
 * What cleaning costs those who use the sessions meanwhile: clients in one process, the cleaner in another, by turns
 * without and with cleaning. README.md beside this file says how.
 *
 * node bench/cleaning.js --rows 1000000 --clients 64 [--databases PostgreSQL,MariaDB,SQLite] [--batch-size 1000]
 *   [--pause 20] [--think 0] [--connections 16] [--window 5000] [--pairs 40] [--by-age]
 *
 * Times in ms; the pause is that of `nest-session clear`; there are at most so many pairs of windows; `by-age` is how the rows lie.
 */
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, quantile } from './statistics.js';

/** For a million rows and 64 clients. */
const GOALS = {
  PostgreSQL: { rowsPerSecond: 20_000, ratioOfP99: 2, longestStatementMs: 250 },
  SQLite: { longestWriteMs: 100 },
};

const { values: given } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    clients: { type: 'string', default: '64' },
    databases: { type: 'string', default: 'PostgreSQL,MariaDB,SQLite' },
    'batch-size': { type: 'string', default: '1000' },
    pause: { type: 'string', default: '20' },
    think: { type: 'string', default: '0' },
    connections: { type: 'string', default: '16' },
    window: { type: 'string', default: '5000' },
    pairs: { type: 'string', default: '40' },
    'by-age': { type: 'boolean', default: false },
  },
});
const [rows, clients, connections] = [given.rows, given.clients, given.connections].map(Number);
const [batchSize, pauseMs] = [given['batch-size'], given.pause].map(Number);
const [thinkMs, windowMs, maxPairs] = [given.think, given.window, given.pairs].map(Number);

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

const built = spawnSync(process.execPath, [file('../scripts/build.mjs'), '--if-stale'], { stdio: 'inherit' });
if (built.status !== 0) process.exit(1);
const { createDatabase } = await import('./cleaning/databases.js');

console.log(
  `Node ${process.version}, ${cpus().length} × ${cpus()[0].model}; ${rows} expired among ${rows} living sessions, ${given['by-age'] ? 'lying by age' : 'scattered'}; ` +
    `${clients} clients on ${connections} connections, ${thinkMs} ms between two requests; ` +
    `batches of ${batchSize}, ${pauseMs} ms between them; windows of ${windowMs} ms; ` +
    `load of the machine at the start: ${loadavg()[0].toFixed(1)}`,
);
for (const name of given.databases.split(',')) {
  console.error(`${name}: filling a database…`);
  const database = await createDatabase(name, rows, given['by-age']);
  if (database.cacheBytes) console.log(`${name}: ${Math.round(database.cacheBytes / 2 ** 20)} MiB of cache`);
  process.once('SIGINT', () => database.drop().finally(() => process.exit(1)));
  try {
    print(name, await measure(name, database));
  } finally {
    process.removeAllListeners('SIGINT');
    await database.drop();
  }
}

/** By turns a window without cleaning and one with it, until nothing is left to clean. */
async function measure(name, { options }) {
  const processes = [
    await started('cleaner.js', { options }),
    await started('clients.js', { options, clients, thinkMs, rows, connections }),
  ];
  const [cleaner, visitors] = processes;
  const windows = [];
  try {
    await sleep(windowMs); // warm
    for (let isDone = false; !isDone && windows.length < maxPairs;) {
      const without = await window(visitors, () => sleep(windowMs));
      const during = await window(visitors, () =>
        ask(cleaner, 'clean', { forMs: windowMs, batchSize, pauseMs }),
      );
      windows.push({ without, during });
      ({ isDone } = during.result);
      console.error(
        `${name}: ${during.result.deleted} rows in ${Math.round(during.result.milliseconds)} ms, ` +
          `p99 ${p99(without).toFixed(1)} → ${p99(during).toFixed(1)} ms`,
      );
    }
  } finally {
    await Promise.all(processes.map(ended));
  }
  return windows;
}

async function window(visitors, work) {
  visitors.send({ command: 'measure' });
  const began = performance.now();
  const result = await work();
  const milliseconds = performance.now() - began;
  return { ...(await ask(visitors, 'report')), milliseconds, result };
}

function p99({ requestsMs }) {
  return quantile(requestsMs, 0.99);
}

/** The last window is cut short when everything is deleted. */
function print(name, windows) {
  const whole = windows.filter(({ during }) => during.milliseconds > windowMs / 2);
  const cleaned = windows.map(({ during }) => during.result);
  const longest = (figure) => Math.round(Math.max(...cleaned.map((result) => result[figure])));
  const deleted = sum(cleaned.map((result) => result.deleted));
  const rowsPerSecond = Math.round((deleted / sum(cleaned.map((result) => result.milliseconds))) * 1_000);
  const ratioOfP99 = median(whole.map(({ without, during }) => p99(during) / p99(without)));
  const longestWriteMs = Math.round(Math.max(...windows.map(({ during }) => during.longestWriteMs)));

  console.table({
    [`${name} without`]: rowOf(whole.map(({ without }) => without)),
    [`${name} with cleaning`]: rowOf(whole.map(({ during }) => during)),
  });
  console.log(`${name}: ${deleted} rows deleted, ${rowsPerSecond} rows/s${verdict(name, { rowsPerSecond })}`);
  console.log(
    `${name}: p99 with cleaning is ${ratioOfP99.toFixed(2)} times that without (median of ${whole.length} pairs of ` +
      `neighbours)${verdict(name, { ratioOfP99 })}`,
  );
  console.log(
    `${name}: the cleaner's longest statement ${longest('longestStatementMs')} ms` +
      `${verdict(name, { longestStatementMs: longest('longestStatementMs') })}, its event loop stood still for ` +
      `${longest('longestTurnMs')} ms, a client's longest write ${longestWriteMs} ms${verdict(name, { longestWriteMs })}`,
  );
}

function verdict(name, figures) {
  const [[figure, value]] = Object.entries(figures);
  const goal = GOALS[name]?.[figure];
  if (goal === undefined) return '';
  const isMet = figure === 'rowsPerSecond' ? value >= goal : value <= goal;
  return ` (goal: ${goal}, ${isMet ? 'met' : 'NOT MET'})`;
}

function rowOf(windows) {
  const requestsMs = windows.flatMap((window) => window.requestsMs);
  const at = (share) => `${quantile(requestsMs, share).toFixed(1)} ms`;
  return {
    'requests/s': Math.round((requestsMs.length / sum(windows.map((window) => window.milliseconds))) * 1_000),
    p50: at(0.5),
    p99: at(0.99),
    'p99 of the windows': `${Math.min(...windows.map(p99)).toFixed(1)} – ${Math.max(...windows.map(p99)).toFixed(1)} ms`,
    'longest write': `${Math.max(...windows.map((window) => window.longestWriteMs)).toFixed(0)} ms`,
  };
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

async function started(script, plan) {
  const child = fork(file(`cleaning/${script}`), { env: { ...process.env, NODE_OPTIONS: '' } });
  child.on('exit', (code) => {
    if (code !== 0) throw new Error(`${script} ended with ${code}.`);
  });
  await ask(child, 'start', plan);
  return child;
}

async function ask(child, command, plan = {}) {
  child.send({ command, ...plan });
  const [answer] = await once(child, 'message');
  return answer;
}

async function ended(child) {
  if (!child.connected) return;
  child.send({ command: 'stop' });
  await once(child, 'exit');
}
