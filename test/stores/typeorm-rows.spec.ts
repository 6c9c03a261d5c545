import { RECORD_FORMAT } from 'nest-session';
import { aChange, aRecord, FakeClock, newKey } from 'nest-session/testing';
import { type SessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource } from 'typeorm';
import { describeDatabases, type TestDatabase } from '../support/databases.js';
import { StatementLog } from '../support/statement-log.js';

await describeDatabases('Session rows', ({ entity, name, create }) => {
  let log: StatementLog;
  let database: TestDatabase;
  let pool: DataSource;
  let clock: FakeClock;
  let store: TypeOrmSessionStore;

  beforeAll(async () => {
    database = await create();
    pool = new DataSource({ ...database.options, entities: [entity] });
    await pool.initialize();
    await pool.synchronize();
    log = new StatementLog(pool);
  });
  afterAll(async () => {
    if (pool.isInitialized) await pool.destroy();
    await database.drop();
  });
  beforeEach(() => {
    clock = new FakeClock();
    store = new TypeOrmSessionStore(pool, { entity }, clock);
  });

  const rows = () => pool.getRepository<SessionEntity>(entity);
  const created = async (parts?: Parameters<typeof aRecord>[0]): Promise<string> => {
    const key = newKey();
    expect(await store.create(key, aRecord(parts))).toBe(true);
    return key;
  };

  it('leaves time for requests and signals between two batches of a clearing', async () => {
    for (let n = 0; n < 4; n++) await created({ expiresAt: clock.now() });
    const stop = new AbortController();
    setImmediate(() => stop.abort());
    expect(await store.deleteExpired({ batchSize: 1, signal: stop.signal })).toBeLessThan(4);
    expect(await store.deleteExpired()).toBeGreaterThan(0);
  });

  describe('statements', () => {
    it('is one to create, load, save, touch, rename and delete', async () => {
      const [key, newer] = [newKey(), newKey()];
      const grace = clock.now() + 30_000;
      expect(await log.during(() => store.create(key, aRecord()))).toEqual(['INSERT']);
      expect(await log.during(() => store.load(key))).toEqual(['SELECT']);
      const loaded = await store.load(key);
      expect(await log.during(() => store.save(key, aChange({ set: { a: '1' } }), loaded))).toEqual([
        'UPDATE',
      ]);
      expect(await log.during(() => store.touch(key, aChange()))).toEqual(['UPDATE']);
      const touched = await store.load(key);
      expect(await log.during(() => store.rename(key, newer, aChange(), grace, touched))).toEqual(['UPDATE']);
      expect(await log.during(() => store.delete(newer, grace))).toEqual(['UPDATE']);
      expect(await log.during(() => store.deleteExpired())).not.toContain('INSERT');
    });

    it('is one to save right after the create', async () => {
      const [key, record] = [newKey(), aRecord()];
      await store.create(key, record);
      expect(await log.during(() => store.save(key, aChange({ set: { a: '1' } }), record))).toEqual([
        'UPDATE',
      ]);
    });

    it('reads again when a parallel request was faster, and writes on top of that', async () => {
      const key = await created();
      const loaded = await store.load(key);
      await store.save(key, aChange({ set: { theirs: '1' } }), loaded);
      const statements = await log.during(() => store.save(key, aChange({ set: { mine: '1' } }), loaded));
      expect(statements).toEqual(['UPDATE', 'SELECT', 'UPDATE']);
      expect({ ...(await store.load(key))?.values }).toEqual({ theirs: '1', mine: '1' });
    });

    it('never writes the key in an ordinary save', async () => {
      const key = await created();
      log.statements = [];
      await store.save(key, aChange({ set: { a: '1' } }));
      const [update] = log.statements.filter((statement) => statement.startsWith('UPDATE'));
      expect(update.slice(0, update.indexOf('WHERE'))).not.toMatch(/["`](key|previousKey|handle)["`]/);
    });

    it(
      name === 'SQLite'
        ? 'takes no row lock, which there are none'
        : 'takes the row lock after five lost rounds',
      async () => {
        const key = await created();
        log.statements = [];
        // In one store they would take turns.
        const writers = Array.from({ length: 30 }, () =>
          new TypeOrmSessionStore(pool, { entity }, clock).atomic(key, 'n', (text) =>
            String(Number(text ?? 0) + 1),
          ),
        );
        await Promise.all(writers);
        expect({ ...(await store.load(key))?.values }).toEqual({ n: '30' });
        expect(log.statements.some((statement) => statement.endsWith('FOR UPDATE'))).toBe(name !== 'SQLite');
      },
    );
  });

  describe("the application's transaction", () => {
    it('takes no session back with it', async () => {
      const [ended, changed] = [await created(), await created()];
      const fresh = newKey();
      const runner = pool.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.getRepository<SessionEntity>(entity).count();
      const writing = Promise.all([
        store.delete(ended),
        store.save(changed, aChange({ set: { a: '1' } })),
        store.create(fresh, aRecord()),
      ]);
      if (name !== 'SQLite') await writing; // there one connection serves all, and the store waits
      await runner.rollbackTransaction();
      await runner.release();
      expect(await writing).toEqual([true, true, true]);
      expect(await store.load(ended)).toBeUndefined();
      expect({ ...(await store.load(changed))?.values }).toEqual({ a: '1' });
      expect(await store.load(fresh)).toBeDefined();
      expect(pool.subscribers).toHaveLength(0);
    });
  });

  describe('a row of a newer format', () => {
    const NEWER = { format: RECORD_FORMAT + 1, data: 'what only a newer release can read' };

    it('is loaded as such, without values', async () => {
      const key = await created({ userId: '7' });
      await rows().update({ key }, NEWER);
      const record = await store.load(key);
      expect(record).toMatchObject({ format: NEWER.format, values: {} });
      expect(record?.corrupt).toBeUndefined();
    });

    it('is never changed: whoever tries gets an error that names no key', async () => {
      const key = await created({ userId: 'newer' });
      await rows().update({ key }, NEWER);
      const [before, loaded] = [await rows().findOneByOrFail({ key }), await store.load(key)];
      const attempts = [
        () => store.save(key, aChange({ set: { a: '1' } }), loaded),
        () => store.touch(key, aChange()),
        () => store.rename(key, newKey(), aChange(), undefined, loaded),
        () => store.atomic(key, 'a', () => '1'),
        () => store.delete(key),
        () => store.deleteByUser('newer'),
      ];
      for (const attempt of attempts) {
        const error = await attempt().then(String, (thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'SESSION_FORMAT_NEWER' });
        expect(String((error as Error).stack)).not.toContain(key);
      }
      expect(await rows().findOneByOrFail({ key })).toEqual(before);
    });

    it('stays when expired sessions are deleted', async () => {
      const key = await created();
      await rows().update({ key }, { ...NEWER, expiresAt: clock.now() - 1 });
      await store.deleteExpired();
      expect(await rows().countBy({ key })).toBe(1);
    });
  });

  describe('corrupt data', () => {
    it.each(['', 'null', '"x"', '[]', '["x"]', '{"a":1}', '{"a"', 'O:8:"stdClass"'])(
      '%j is an empty session',
      async (data) => {
        const key = await created({ values: { a: '1' } });
        await rows().update({ key }, { data });
        expect(await store.load(key)).toMatchObject({ corrupt: true, values: {} });
        expect(await store.save(key, aChange({ set: { fresh: '1' } }), await store.load(key))).toBe(true);
        const saved = await store.load(key);
        expect({ ...saved?.values }).toEqual({ fresh: '1' });
        expect(saved?.corrupt).toBeUndefined();
      },
    );
  });

  it('keeps data in ASCII, so that no character set can matter', async () => {
    const key = await created({ values: { 'é🍵': '"日本 🍵 \u007f"' } });
    const { data } = await rows().findOneByOrFail({ key });
    expect(data).toMatch(/^[ -~]+$/);
    expect({ ...(await store.load(key))?.values }).toEqual({ 'é🍵': '"日本 🍵 \u007f"' });
  });

  it('shares the work of several cleaners, and deletes and counts each session once', async () => {
    await store.deleteExpired();
    const keys = await Promise.all(Array.from({ length: 60 }, () => created({ expiresAt: clock.now() - 1 })));
    const deleted = await Promise.all([1, 2, 3].map(() => store.deleteExpired({ batchSize: 7 })));
    expect(deleted[0] + deleted[1] + deleted[2]).toBe(keys.length);
    expect(await rows().countBy(keys.map((key) => ({ key })))).toBe(0);
  });

  it('calls no entity subscribers of the application', async () => {
    const seen: string[] = [];
    const note = (event: string) => () => void seen.push(event);
    const subscriber = {
      beforeInsert: note('insert'),
      beforeUpdate: note('update'),
      beforeRemove: note('remove'),
      afterLoad: note('load'),
    };
    pool.subscribers.push(subscriber);
    try {
      const key = await created();
      await store.save(key, aChange({ set: { a: '1' } }), await store.load(key));
      await store.delete(key);
    } finally {
      pool.subscribers.splice(pool.subscribers.indexOf(subscriber), 1);
    }
    expect(seen).toEqual([]);
  });
});
