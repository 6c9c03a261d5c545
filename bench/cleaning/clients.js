/**
 * A process of clients: each asks for a session of its own choice, changes it or not, and asks again after `thinkMs`.
 * Gets `start` and then, as often as wanted, `measure` and `report`; answers a report with what happened in between.
 */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { connect } from './connect.js';
import { CART, livingKey } from './databases.js';

const SESSION_MS = 24 * 60 * 60_000;
const cartText = JSON.stringify(CART);

let requestsMs = [];
let longestWriteMs = 0;
let mayRun = true;

const commands = { start, measure, report, stop };
process.on('disconnect', () => process.exit()); // nobody asks any more
process.on('message', ({ command, ...rest }) => commands[command](rest));

async function start({ options, clients, connections, thinkMs, rows }) {
  const { store, close } = await connect(options, connections, (milliseconds, statement) => {
    if (!statement.startsWith('SELECT')) longestWriteMs = Math.max(longestWriteMs, milliseconds);
  });
  process.send({ ready: true });
  await Promise.all(Array.from({ length: clients }, () => visit(store, rows, thinkMs)));
  await close();
  process.disconnect();
}

async function visit(store, rows, thinkMs) {
  if (thinkMs > 0) await sleep(Math.random() * thinkMs);
  while (mayRun) {
    const began = performance.now();
    await oneRequest(store, livingKey(randomInt(rows)), Math.random());
    requestsMs.push(performance.now() - began);
    // SQLite answers at once: without a turn of the event loop nobody else would ever have one.
    await (thinkMs > 0 ? sleep(thinkMs) : nextTurn());
  }
}

/** Half of the requests read, one in twenty is of a new visitor, the others read and write. */
async function oneRequest(store, key, chance) {
  const now = Date.now();
  const deadline = { lastSeenAt: now, expiresAt: now + SESSION_MS };
  if (chance < 0.05) return store.create(randomBytes(32).toString('hex'), newRecord(now, deadline));
  const record = await store.load(key);
  if (!record) throw new Error('A living session is gone.');
  if (chance < 0.5) return record;
  const change = { ...deadline, basedOn: '', set: { cart: cartText }, removed: [] };
  if (!(await store.save(key, change, record)))
    throw new Error('A living session was not there to be saved.');
}

function newRecord(now, deadline) {
  return {
    format: 1,
    handle: randomUUID().replaceAll('-', ''),
    createdAt: now,
    ...deadline,
    absoluteExpiresAt: now + 30 * SESSION_MS,
    policy: '',
    values: { cart: cartText },
  };
}

function measure() {
  requestsMs = [];
  longestWriteMs = 0;
}

function report() {
  process.send({ requestsMs, longestWriteMs });
}

function stop() {
  mayRun = false;
}
