/**
 * A process of its own that works on one session, together with others. Started by typeorm-processes.spec.ts, which
 * sends one message with what to do, and later `go`; answers `ready`, then `done` with what it saw.
 */
import { pathToFileURL } from 'node:url';
import { DataSource } from 'typeorm';

const [plan] = await nextMessage();
const { MySqlSessionEntity, SessionEntity, TypeOrmSessionStore } = await import(
  pathToFileURL(plan.library).href
);
const entity = plan.options.type === 'mariadb' ? MySqlSessionEntity : SessionEntity;
const dataSource = await new DataSource({ ...plan.options, entities: [entity] }).initialize();
for (const statement of plan.before ?? []) await dataSource.query(statement);
const store = new TypeOrmSessionStore(dataSource, { entity });

process.send('ready');
await nextMessage();
const seen = await { hammer, writeOnce, look }[plan.task](plan);
await store.close();
await dataSource.destroy();
process.send({ done: seen }, () => process.disconnect());

/** Saves values of its own and counts a common one up, several at a time. */
async function hammer({ key, rounds, name }) {
  for (let round = 0; round < rounds; round++) {
    const now = Date.now();
    const change = { removed: [], lastSeenAt: now, expiresAt: now + 600_000, basedOn: '' };
    const work = [
      store.save(key, { ...change, set: { [`${name}.${round}`]: '1' } }, await store.load(key)),
      store.atomic(key, 'sum', (text) => String(Number(text ?? 0) + 1)),
      store.touch(key, change),
    ];
    for (const answer of await Promise.all(work)) if (!answer) throw new Error('The session is not there.');
  }
}

async function writeOnce({ key, record }) {
  return store.create(key, record);
}

/** What is there, and what is taken for expired: by a load, and by a clearing. */
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
