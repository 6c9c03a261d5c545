import { aRecord, newKey } from 'nest-session/testing';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { describeDatabases, type TestDatabase } from '../support/databases.js';
import { type ProcessPlan, Processes } from '../support/processes.js';

const processes = new Processes('../stores/typeorm-opener.mjs');

beforeAll(() => processes.compile());
afterEach(() => processes.kill());
afterAll(() => processes.remove());

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
    await processes.run(
      names.map((each): ProcessPlan => ({
        task: 'hammer',
        options: database.options,
        key,
        rounds,
        name: each,
      })),
    );
    const values = (await store.load(key))?.values ?? {};
    expect(values.sum).toBe(String(names.length * rounds));
    expect(Object.keys(values)).toHaveLength(names.length * rounds + 1);
  });

  it('agree on deadlines, however far the time zones of process, driver and server are apart', async () => {
    const [living, expired] = [newKey(), newKey()];
    const now = Date.now();
    const record = aRecord({ createdAt: now - 5_000, expiresAt: now + 60_000 });
    const options = await zonesApart(pool, database.options);
    const here = { TZ: 'Pacific/Kiritimati' }; // UTC+14
    const there = { TZ: 'Pacific/Pago_Pago' }; // UTC-11
    await processes.run([{ task: 'writeOnce', options, key: living, record }], there);
    for (const key of [expired, newKey()]) {
      const over = aRecord({ expiresAt: now - 1 });
      await processes.run([{ task: 'writeOnce', options, key, record: over }], there);
    }

    const [seen] = await processes.run([{ task: 'look', options, living, expired }], here);
    expect(seen).toMatchObject({ offsetMinutes: -14 * 60, record, expired: null, living: 1 });
    // The one that was met leaves by itself, as soon or later.
    expect([1, 2]).toContain((seen as { deleted: number }).deleted);
    expect(await store.load(living)).toMatchObject({ createdAt: now - 5_000, expiresAt: now + 60_000 });
  });

  /** Connections whose driver and server believe in zones of their own. */
  async function zonesApart(server: DataSource, options: DataSourceOptions): Promise<object> {
    if (name === 'MariaDB') {
      // One connection, so that the statement counts for all that the process does.
      return { ...options, timezone: '-09:30', poolSize: 1, before: ["SET time_zone = '+05:45'"] };
    }
    if (name === 'PostgreSQL') {
      const [{ name: own }] = await server.query<{ name: string }[]>('SELECT current_database() AS name');
      await server.query(`ALTER DATABASE "${own}" SET TimeZone TO 'Asia/Kathmandu'`);
    }
    return options;
  }
});
