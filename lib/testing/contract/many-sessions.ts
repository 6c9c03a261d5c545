import assert from 'node:assert/strict';
import type { SessionRecord } from '../../core/record.js';
import { type SessionStoreUnsupportedError } from '../../stores/session-store.js';
import { aChange, aRecord, newKey } from '../builders.js';
import { expectDead, expectRecord, expectUnknown } from './expectations.js';
import type { Subject, TestRunner } from './subject.js';

/** What works on many sessions at once. The store need not be empty: users are fresh, and counts are compared. */
export function manySessions({ describe, it }: TestRunner, subject: Subject): void {
  const created = async (parts?: Partial<SessionRecord>): Promise<string> => {
    const key = newKey();
    assert.equal(await subject.store.create(key, aRecord(parts)), true);
    return key;
  };
  const newUser = () => `user ${newKey()}`;
  const grace = () => subject.clock.now() + 30_000;
  const keysOf = async (userId: string) =>
    (await subject.store.findByUser(userId)).map(({ key }) => key).sort();

  if (subject.has('users')) {
    describe('findByUser', () => {
      it('finds the living sessions of one user, each with its key and record', async () => {
        const userId = newUser();
        const record = aRecord({ userId, values: { a: '1' } });
        const key = newKey();
        await subject.store.create(key, record);
        const other = await created({ userId });
        await created({ userId: newUser() });
        await created();
        const found = await subject.store.findByUser(userId);
        assert.deepEqual(found.map((session) => session.key).sort(), [key, other].sort());
        expectRecord(found.find((session) => session.key === key)?.record, record);
      });

      it('passes over expired, ended and renamed ones', async () => {
        const userId = newUser();
        await created({ userId, expiresAt: subject.clock.now() });
        await subject.store.delete(await created({ userId }), grace());
        const newer = newKey();
        await subject.store.rename(await created({ userId }), newer, aChange(), grace());
        assert.deepEqual(await keysOf(userId), [newer]);
      });

      it('finds one of them by its name, and at least the values that are asked for', async () => {
        const userId = newUser();
        const record = aRecord({ userId, values: { a: '1', b: '2' } });
        await subject.store.create(newKey(), record);
        await created({ userId });
        const { handle } = record;
        const find = async (values?: readonly string[]) => {
          const found = await subject.store.findByUser(userId, { handle, values });
          return found.filter((session) => session.record.handle === handle);
        };
        for (const [values, expected] of [
          [undefined, record.values],
          [['b'], { b: '2' }],
          [[], {}],
        ] as const) {
          const [session, ...more] = await find(values);
          assert.equal(more.length, 0);
          for (const [name, text] of Object.entries(expected))
            assert.equal(session?.record.values[name], text);
          assert.equal(session?.record.userId, userId);
        }
      });

      it('finds nothing for an unknown user', async () => {
        assert.deepEqual(await subject.store.findByUser(newUser()), []);
      });
    });

    describe('deleteByUser', () => {
      it('ends all sessions of one user, and says how many', async () => {
        const userId = newUser();
        const [keys, stranger] = [[await created({ userId }), await created({ userId })], newUser()];
        await created({ userId, expiresAt: subject.clock.now() });
        const other = await created({ userId: stranger });
        assert.equal(await subject.store.deleteByUser(userId), 2);
        for (const key of keys) await expectUnknown(subject.store, key);
        assert.deepEqual(await keysOf(userId), []);
        assert.deepEqual(await keysOf(stranger), [other]);
        assert.equal(await subject.store.deleteByUser(userId), 0);
      });

      it('lets one session stay, and leaves tombstones if asked to', async () => {
        const userId = newUser();
        const [kept, ended] = [await created({ userId }), await created({ userId })];
        assert.equal(
          await subject.store.deleteByUser(userId, { exceptKey: kept, tombstoneUntil: grace() }),
          1,
        );
        assert.deepEqual(await keysOf(userId), [kept]);
        await expectDead(subject.store, ended);
        if (subject.has('tombstones')) assert.equal((await subject.store.load(ended))?.gone, 'ended');
      });

      it('lets a session of this handle stay, under whatever key it is by now', async () => {
        const userId = newUser();
        const [older, newer, ended] = [await created({ userId }), newKey(), await created({ userId })];
        const exceptHandle = (await subject.store.load(older))?.handle;
        await subject.store.rename(older, newer, aChange(), grace());
        assert.equal(await subject.store.deleteByUser(userId, { exceptKey: older, exceptHandle }), 1);
        assert.deepEqual(await keysOf(userId), [newer]);
        await expectDead(subject.store, ended);
      });
    });
  } else {
    it('rejects findByUser and deleteByUser as unsupported', async () => {
      await expectUnsupported(() => subject.store.findByUser('7'));
      await expectUnsupported(() => subject.store.deleteByUser('7'));
    });
  }

  if (subject.has('count')) {
    describe('count', () => {
      it('counts living sessions, not expired ones and not tombstones', async () => {
        const before = await subject.store.count();
        await created();
        await created({ userId: '7' });
        await created({ expiresAt: subject.clock.now() });
        await subject.store.delete(await created(), grace());
        await subject.store.rename(await created(), newKey(), aChange(), grace());
        assert.equal(await subject.store.count(), before + 3);
      });

      it('is the same after saves, touches and renames that found nothing', async () => {
        const before = await subject.store.count();
        const gone = await created();
        await subject.store.delete(gone);
        for (const key of [gone, newKey()]) {
          await subject.store.save(key, aChange({ set: { a: '1' } }));
          await subject.store.touch(key, aChange());
          await subject.store.rename(key, newKey(), aChange(), grace());
          await subject.store.atomic(key, 'a', () => '1');
        }
        assert.equal(await subject.store.count(), before);
      });
    });
  } else {
    it('rejects count as unsupported', () => expectUnsupported(() => subject.store.count()));
  }

  it('says whether what expires leaves by itself', async () => {
    assert.equal(subject.store.expiresByItself, subject.options.expiresByItself ?? false);
  });

  if (subject.options.expiresByItself) nothingToClean({ it }, subject);
  else if (subject.has('cleaning')) {
    deleteExpired({ describe, it }, subject, created);
    countExpired({ describe, it }, subject, created);
  } else
    it('rejects deleteExpired and countExpired as unsupported', async () => {
      await expectUnsupported(() => subject.store.deleteExpired());
      await expectUnsupported(() => subject.store.countExpired());
    });
}

function nothingToClean({ it }: Pick<TestRunner, 'it'>, subject: Subject): void {
  it('has nothing to clean', async () => {
    const key = newKey();
    await subject.store.create(key, aRecord({ expiresAt: subject.soon() }));
    await subject.waitForIt();
    assert.equal(await subject.store.countExpired(), 0);
    assert.equal(await subject.store.deleteExpired(), 0);
    await expectUnknown(subject.store, key);
  });
}

function deleteExpired(
  { describe, it }: Pick<TestRunner, 'describe' | 'it'>,
  subject: Subject,
  created: (parts?: Partial<SessionRecord>) => Promise<string>,
): void {
  const createExpired = async (number: number) => {
    for (let left = number; left > 0; left--) await created({ expiresAt: subject.clock.now() - left });
  };

  describe('deleteExpired', () => {
    it('deletes what is over, says how many, and leaves the living', async () => {
      await subject.store.deleteExpired();
      await createExpired(3);
      const living = await created({ expiresAt: subject.clock.now() + 60_000 });
      assert.equal(await subject.store.deleteExpired(), 3);
      assert.equal(await subject.store.deleteExpired(), 0);
      assert.ok(await subject.store.load(living));
    });

    it('keeps tombstones until their time, and counts them not', async () => {
      await subject.waitForIt(); // what other tests left has its deadline behind it then
      await subject.store.deleteExpired();
      const key = await created();
      await subject.store.delete(key, subject.soon());
      assert.equal(await subject.store.deleteExpired(), 0);
      if (subject.has('tombstones')) assert.ok(await subject.store.load(key));
      await subject.waitForIt();
      assert.equal(await subject.store.deleteExpired(), 0);
      await expectUnknown(subject.store, key);
    });

    it('works in batches, and tells how far it is after each', async () => {
      await subject.store.deleteExpired();
      await createExpired(5);
      const progress: number[] = [];
      const onProgress = (deleted: number) => progress.push(deleted);
      assert.equal(await subject.store.deleteExpired({ batchSize: 2, onProgress }), 5);
      assert.deepEqual(progress, [2, 4, 5]);
    });

    it('begins no batch before what its progress returned is settled', async () => {
      await subject.store.deleteExpired();
      await createExpired(3);
      let isPausing = false;
      const onProgress = async () => {
        assert.equal(isPausing, false, 'a batch ended while the caller paused');
        isPausing = true;
        await new Promise((resolve) => setTimeout(resolve, 5));
        isPausing = false;
      };
      assert.equal(await subject.store.deleteExpired({ batchSize: 1, onProgress }), 3);
      assert.equal(isPausing, false);
    });

    it('works several times at once: none fails, and nothing is left', async () => {
      await subject.store.deleteExpired();
      await createExpired(20);
      await subject.parallel(4, (store) => store.deleteExpired({ batchSize: 3 }));
      assert.equal(await subject.store.deleteExpired(), 0);
    });

    it('ends after the batch in hand when it is told to', async () => {
      await subject.store.deleteExpired();
      await createExpired(5);
      const stop = new AbortController();
      const onProgress = () => stop.abort();
      assert.equal(await subject.store.deleteExpired({ batchSize: 2, signal: stop.signal, onProgress }), 2);
      assert.equal(await subject.store.deleteExpired({ signal: AbortSignal.abort() }), 0);
      assert.equal(await subject.store.deleteExpired(), 3);
    });
  });
}

function countExpired(
  { describe, it }: Pick<TestRunner, 'describe' | 'it'>,
  subject: Subject,
  created: (parts?: Partial<SessionRecord>) => Promise<string>,
): void {
  describe('countExpired', () => {
    it('says how many deleteExpired would delete: no living ones, no tombstones', async () => {
      await subject.store.deleteExpired();
      for (const age of [1, 0]) await created({ userId: '7', expiresAt: subject.clock.now() - age });
      await created();
      await subject.store.delete(await created(), subject.soon());
      await subject.waitForIt();
      assert.equal(await subject.store.countExpired(), 2);
      assert.equal(await subject.store.countExpired(), 2, 'a count deletes nothing');
      assert.equal(await subject.store.deleteExpired(), 2);
      assert.equal(await subject.store.countExpired(), 0);
    });
  });
}

async function expectUnsupported(ask: () => Promise<unknown>): Promise<void> {
  const isUnsupported = (error: unknown) =>
    (error as Partial<SessionStoreUnsupportedError>).code === 'SESSION_STORE_UNSUPPORTED';
  await assert.rejects(ask, isUnsupported, 'the store has it: take it out of `lacks`');
}
