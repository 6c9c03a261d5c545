/**
 * A process of its own that works on one session, together with others. Started by processes.ts, which sends one message
 * with what to do, and later `go`; answers `ready`, then `done` with what it saw.
 */
import { pathToFileURL } from 'node:url';

const [plan] = await nextMessage();
const { open } = await import(pathToFileURL(plan.opener).href);
const { store, close } = await open(
  (path) => import(pathToFileURL(`${plan.library}/${path}`).href),
  plan.options,
);

process.send('ready');
await nextMessage();
const seen = await { hammer, hammerUntilGone, end, writeOnce, look }[plan.task](plan);
await close();
process.send({ done: seen }, () => process.disconnect());

/** Saves values of its own and counts a common one up, several at a time. */
async function hammer({ key, rounds, name }) {
  for (let round = 0; round < rounds; round++) {
    const answers = await writeAtOnce(key, `${name}.${round}`);
    for (const answer of answers) if (!answer) throw new Error('The session is not there.');
  }
}

/** The same until the session has ended; how often it was written. */
async function hammerUntilGone({ key, name }) {
  for (let round = 0; ; round++) {
    if ((await writeAtOnce(key, `${name}.${round}`)).some((answer) => !answer)) return round;
  }
}

/** Ends the session when the others have written something. */
async function end({ key, names, tombstoneUntil }) {
  for (;;) {
    const values = (await store.load(key))?.values ?? {};
    if (names.every((name) => Object.hasOwn(values, `${name}.3`))) return store.delete(key, tombstoneUntil);
  }
}

async function writeAtOnce(key, name) {
  const now = Date.now();
  const change = { removed: [], lastSeenAt: now, expiresAt: now + 600_000, basedOn: '' };
  return Promise.all([
    store.save(key, { ...change, set: { [name]: '1' } }, await store.load(key)),
    store.atomic(key, 'sum', (text) => String(Number(text ?? 0) + 1)),
    store.touch(key, change),
  ]);
}

async function writeOnce({ key, record }) {
  return store.create(key, record);
}

/** What is there, and what is taken for expired. */
async function look({ living, expired }) {
  const record = await store.load(living);
  return {
    offsetMinutes: new Date(record?.createdAt ?? 0).getTimezoneOffset(),
    record,
    expired: (await store.load(expired)) ?? null,
    living: await store.count(),
    deleted: await store.deleteExpired(),
  };
}

function nextMessage() {
  return new Promise((resolve) => process.once('message', (message) => resolve([message])));
}
