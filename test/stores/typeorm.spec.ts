import { DataSource, type DataSourceOptions } from 'typeorm';
import { describeSessionStore, newKey } from 'nest-session/testing';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { describeDatabases, type TestDatabase } from '../support/databases.js';

await describeDatabases('TypeOrmSessionStore', (kind) => {
  const { entity } = kind;
  let database: TestDatabase;
  let pools: DataSource[];

  beforeAll(async () => {
    database = await kind.create();
    const options = { ...database.options, entities: [entity] } as DataSourceOptions;
    pools = [new DataSource(options), new DataSource(options)];
    for (const pool of pools) await pool.initialize();
    await pools[0].synchronize();
  });
  afterAll(async () => {
    for (const pool of pools) if (pool.isInitialized) await pool.destroy();
    await database.drop();
  });

  it('throws when its pool is closed', async () => {
    const pool = await new DataSource(pools[0].options).initialize();
    await pool.destroy();
    const store = new TypeOrmSessionStore(pool, { entity });
    await expect(store.load(newKey())).rejects.toBeDefined();
    await expect(store.delete(newKey())).rejects.toBeDefined();
  });

  describe('the contract', () => {
    let isBroken = false;
    const open = async (pool: DataSource, clock: ConstructorParameters<typeof TypeOrmSessionStore>[2]) => {
      if (isBroken) await pools[0].synchronize();
      isBroken = false;
      return new TypeOrmSessionStore(pool, { entity }, clock);
    };

    describeSessionStore('on two pools', ({ clock }) => open(pools[0], clock), {
      openAnother: ({ clock }) => open(pools[1], clock),
      breakIt: async () => {
        isBroken = true;
        await pools[0].query(`DROP TABLE ${pools[0].driver.escape('session')}`);
      },
    });
  });
});
