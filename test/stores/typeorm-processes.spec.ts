import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformFile } from '@swc/core';
import { aRecord, newKey } from 'nest-session/testing';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { describeDatabases, type TestDatabase } from '../support/databases.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const worker = fileURLToPath(new URL('session-process.mjs', import.meta.url));

/** The library as JavaScript, where its imports find the packages. */
let compiled: string;
let running: ChildProcess[] = [];

beforeAll(async () => {
  await mkdir(join(root, 'node_modules/.cache'), { recursive: true });
  compiled = await mkdtemp(join(root, 'node_modules/.cache/nest-session-'));
  await writeFile(join(compiled, 'package.json'), '{ "type": "module" }');
  const sources = await readdir(join(root, 'lib'), { recursive: true });
  await Promise.all(sources.filter((path) => path.endsWith('.ts')).map(compile));
});
afterEach(() => {
  for (const process of running.splice(0)) process.kill();
});
afterAll(() => rm(compiled, { recursive: true, force: true }));

async function compile(path: string): Promise<void> {
  const { code } = await transformFile(join(root, 'lib', path), {
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
    },
    module: { type: 'es6' },
  });
  const target = join(compiled, path.replace(/\.ts$/, '.js'));
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, code);
}

/** Starts processes, lets them begin at the same time, and gives what each of them saw. */
async function runProcesses(plans: readonly object[], env: Record<string, string> = {}): Promise<unknown[]> {
  const library = join(compiled, 'stores/typeorm/index.js');
  running = plans.map(() =>
    fork(worker, { env: { ...process.env, NODE_OPTIONS: '', ...env }, execArgv: [] }),
  );
  await Promise.all(
    running.map(async (child, index) => {
      child.send({ library, ...plans[index] });
      await answerOf(child);
    }),
  );
  const answers = Promise.all(running.map(answerOf));
  for (const child of running) child.send('go');
  return (await answers).map((answer) => (answer as { done: unknown }).done);
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const stop = new AbortController();
  const exited = once(child, 'exit', { signal: stop.signal }).then(([code]) => {
    throw new Error(`The process ended with ${String(code)}.`);
  });
  try {
    const [answer] = (await Promise.race([once(child, 'message', { signal: stop.signal }), exited])) as [
      unknown,
    ];
    return answer;
  } finally {
    exited.catch(() => undefined);
    stop.abort();
  }
}

await describeDatabases('Several processes', ({ entity, name, create }) => {
  let database: TestDatabase;
  let pool: DataSource;
  let store: TypeOrmSessionStore;

  beforeEach(async () => {
    database = await create();
    pool = await new DataSource({
      ...database.options,
      entities: [entity],
    }).initialize();
    await pool.synchronize();
    store = new TypeOrmSessionStore(pool, { entity });
  });
  afterEach(async () => {
    await pool.destroy();
    await database.drop();
  });

  it('lose nothing of what they write to one session at once', async () => {
    const key = newKey();
    const rounds = 15;
    await store.create(key, aRecord());
    const names = ['a', 'b', 'c'];
    await runProcesses(
      names.map((each) => ({ task: 'hammer', options: database.options, key, rounds, name: each })),
    );
    const values = (await store.load(key))?.values ?? {};
    expect(values.sum).toBe(String(names.length * rounds));
    expect(Object.keys(values)).toHaveLength(names.length * rounds + 1);
  });

  it('agree on deadlines, however far the time zones of process, driver and server are apart', async () => {
    const [living, expired] = [newKey(), newKey()];
    const now = Date.now();
    const record = aRecord({ createdAt: now - 5_000, expiresAt: now + 60_000 });
    const { options, before } = await zonesApart(pool, database.options);
    const here = { TZ: 'Pacific/Kiritimati' }; // UTC+14
    const there = { TZ: 'Pacific/Pago_Pago' }; // UTC-11
    await runProcesses([{ task: 'writeOnce', options, before, key: living, record }], there);
    for (const key of [expired, newKey()]) {
      const over = aRecord({ expiresAt: now - 1 });
      await runProcesses([{ task: 'writeOnce', options, before, key, record: over }], there);
    }

    const [seen] = await runProcesses([{ task: 'look', options, before, living, expired }], here);
    expect(seen).toMatchObject({ offsetMinutes: -14 * 60, record, expired: null, living: 1 });
    expect([1, 2]).toContain((seen as { deleted: number }).deleted); // the one that was met leaves by itself, as soon or later
    expect(await store.load(living)).toMatchObject({ createdAt: now - 5_000, expiresAt: now + 60_000 });
  });

  /** Connections whose driver and server believe in zones of their own. */
  async function zonesApart(
    server: DataSource,
    options: DataSourceOptions,
  ): Promise<{ options: object; before: string[] }> {
    if (name === 'MariaDB') {
      // One connection, so that the statement counts for all that the process does.
      return {
        options: { ...options, timezone: '-09:30', poolSize: 1 },
        before: ["SET time_zone = '+05:45'"],
      };
    }
    if (name === 'PostgreSQL') {
      const [{ name: own }] = await server.query<{ name: string }[]>('SELECT current_database() AS name');
      await server.query(`ALTER DATABASE "${own}" SET TimeZone TO 'Asia/Kathmandu'`);
    }
    return { options, before: [] };
  }
});
