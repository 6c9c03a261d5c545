import { aRecord, FakeClock, newKey } from 'nest-session/testing';
import { type SessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { describeDatabases, type TestDatabase } from '../support/databases.js';

/** Each differs from all others, though a database may take some for the same text, or for none. */
const ALIKE = [
  'k3yAbC',
  'K3YABC',
  'k3yàbc',
  'k3yabc',
  'k3yAbC ',
  ' k3yAbC',
  'k3yAbC\t',
  'k3yAbC\0',
  '\0',
  '',
  '\u0001"k3yAbC"',
  'straße',
  'strasse',
  '\ud800',
  '\ud801',
  '\ufffd',
  'é',
  'e\u0301',
  'x'.repeat(255),
  'x'.repeat(254),
  '🍵'.repeat(255),
];

await describeDatabases('user ids', ({ entity, create }) => {
  let database: TestDatabase;
  let pool: DataSource;
  let store: TypeOrmSessionStore;

  beforeAll(async () => {
    database = await create();
    const options = { ...database.options, entities: [entity], synchronize: true } as DataSourceOptions;
    pool = await new DataSource(options).initialize();
    store = new TypeOrmSessionStore(pool, { entity }, new FakeClock());
  });
  afterAll(async () => {
    await pool.destroy();
    await database.drop();
  });

  const usersFound = async () => {
    const found = await Promise.all(ALIKE.map((userId) => store.findByUser(userId)));
    return found.map((sessions) => sessions.map(({ record }) => record.userId));
  };

  it('that look alike are other users: each finds and ends its own sessions', async () => {
    for (const userId of ALIKE) expect(await store.create(newKey(), aRecord({ userId }))).toBe(true);
    expect(await usersFound()).toEqual(ALIKE.map((userId) => [userId]));
    const left = new Set(ALIKE);
    for (const userId of ALIKE) {
      expect(await store.deleteByUser(userId)).toBe(1);
      left.delete(userId);
      expect(await store.count()).toBe(left.size);
    }
  });

  it('that are too long for the column are refused, and find nobody', async () => {
    const tooLong = 'x'.repeat(256);
    await store.create(newKey(), aRecord({ userId: 'x'.repeat(255) }));
    await expect(store.create(newKey(), aRecord({ userId: tooLong }))).rejects.toThrow(
      'A user id has 256 characters: the table keeps 255 of them at most.',
    );
    expect(await store.findByUser(tooLong)).toEqual([]);
    expect(await store.deleteByUser(tooLong)).toBe(0);
    expect(await store.deleteByUser('x'.repeat(255))).toBe(1);
  });

  it('find one session by its name, and only the values that are asked for', async () => {
    const values = { a: '1', b: '2', __proto__: '3' };
    const [one, two] = [aRecord({ userId: 'ada', values }), aRecord({ userId: 'ada', values })];
    await store.create(newKey(), one);
    await store.create(newKey(), two);
    await store.create(newKey(), aRecord({ userId: 'bob' }));
    const { handle } = one;
    const handlesOf = async (options: object) =>
      (await store.findByUser('ada', options)).map(({ record }) => record.handle).sort();
    expect(await handlesOf({ handle })).toEqual([handle]);
    expect(await handlesOf({ values: ['b'] })).toEqual([handle, two.handle].sort());
    expect((await store.findByUser('ada', { handle, values: ['b', 'c'] }))[0].record.values).toEqual({
      b: '2',
    });
    expect((await store.findByUser('ada', { handle, values: [] }))[0].record.values).toEqual({});
    expect((await store.findByUser('ada', { handle }))[0].record.values).toEqual(values);
    expect(await store.findByUser('bob', { handle })).toEqual([]);
  });

  it('that look encoded and can not be read are no crash', async () => {
    const key = newKey();
    await store.create(key, aRecord({ userId: 'eve' }));
    await pool.getRepository<SessionEntity>(entity).update({ key }, { userId: '\u0001{broken' });
    expect(await store.load(key)).toMatchObject({ userId: '\u0001{broken' });
    expect(await store.findByUser('\u0001{broken')).toEqual([]);
  });
});
