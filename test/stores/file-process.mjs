/**
 * A process of its own that works on a directory of sessions, together with others. Started by file-processes.spec.ts:
 * gets one message with what to do, and later `go`; answers `ready`, and then tells what the store has acknowledged.
 */
import { pathToFileURL } from 'node:url';

const plan = await nextMessage();
process.umask(0); // a careless one: the store has to see to its modes itself
const { FileSessionStore } = await import(pathToFileURL(plan.library).href);
const store = new FileSessionStore({ directory: plan.directory });

process.send('ready');
await nextMessage();
await { hammer, write, sleepInside }[plan.task](plan);
process.send('done', () => process.disconnect());

/** Saves values of its own and counts a common one up, several at a time. */
async function hammer({ key, rounds, name }) {
  for (let round = 0; round < rounds; round++) {
    const work = [
      store.save(key, change({ [`${name}.${round}`]: '1' }), await store.load(key)),
      store.atomic(key, 'sum', (text) => String(Number(text ?? 0) + 1)),
      store.touch(key, change()),
    ];
    for (const answer of await Promise.all(work)) if (!answer) throw new Error('The session is not there.');
  }
}

/** Saves to some sessions, and renames another along a chain of keys, until it is killed. */
async function write({ keys, chain, filler }) {
  const text = JSON.stringify('x'.repeat(filler));
  const save = async (key) => {
    for (let n = 1; ; n++) {
      if (!(await store.save(key, change({ n: String(n), text }))))
        throw new Error('The session is not there.');
      process.send({ key, n });
    }
  };
  const rename = async () => {
    for (let n = 1; n < chain.length; n++) {
      const until = n % 2 === 0 ? undefined : Date.now() + 600_000;
      const outcome = await store.rename(chain[n - 1], chain[n], change({ n: String(n) }), until);
      if (outcome !== 'renamed') throw new Error(outcome);
      process.send({ key: chain[0], n });
    }
  };
  await Promise.all([...keys.map(save), rename()]);
}

/** Goes to sleep while it holds the lock, until it is woken from outside. */
async function sleepInside({ key }) {
  let times = 0;
  await store.atomic(key, 'n', (text) => {
    if (times++ === 0) process.kill(process.pid, 'SIGSTOP');
    return String(Number(text) + 1);
  });
  process.send({ times });
}

function change(set = {}) {
  const now = Date.now();
  return { set, removed: [], lastSeenAt: now, expiresAt: now + 600_000, basedOn: '' };
}

function nextMessage() {
  return new Promise((resolve) => process.once('message', resolve));
}
