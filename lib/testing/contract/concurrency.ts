import assert from 'node:assert/strict';
import { aChange, aRecord, newKey } from '../builders.js';
import { expectDead, expectUnknown, expectValues } from './expectations.js';
import type { Subject, TestRunner } from './subject.js';

/** Enough to lose something where something can be lost, and few enough for a pool of ten connections. */
const WRITERS = 50;

export function parallelChanges({ describe, it }: TestRunner, subject: Subject): void {
  describe('parallel changes (law 4)', () => {
    it(`loses none of ${WRITERS} different values that are saved at once`, async () => {
      const key = newKey();
      await subject.store.create(key, aRecord({ values: { first: '1' } }));
      const loaded = await subject.store.load(key);
      const saved = await subject.parallel(WRITERS, (store, index) =>
        store.save(key, aChange({ set: { [`v${index}`]: String(index) } }), loaded),
      );
      assert.ok(saved.every(Boolean));
      const all = Array.from({ length: WRITERS }, (_, index) => [`v${index}`, String(index)]);
      await expectValues(subject.store, key, {
        first: '1',
        ...(Object.fromEntries(all) as Record<string, string>),
      });
    });

    it(`counts to ${WRITERS} by ${WRITERS} atomic updates at once`, async () => {
      const key = newKey();
      await subject.store.create(key, aRecord());
      await subject.parallel(WRITERS, (store) => store.atomic(key, 'views', countUp));
      await expectValues(subject.store, key, { views: String(WRITERS) });
    });

    it('loses nothing when saves, touches, atomic updates and a rename meet', async () => {
      const [key, newer] = [newKey(), newKey()];
      await subject.store.create(key, aRecord());
      const work = subject.parallel(24, async (store, index) => {
        if (index % 3 === 0) return store.touch(key, aChange());
        if (index % 3 === 1) return (await store.atomic(key, 'views', countUp)) !== undefined;
        return store.save(key, aChange({ set: { [`v${index}`]: '1' } }));
      });
      const [done, renamed] = await Promise.all([work, subject.store.rename(key, newer, aChange())]);
      assert.equal(renamed, 'renamed');
      const expected: Record<string, string> = {};
      for (const [index, wasWritten] of done.entries()) {
        if (!wasWritten || index % 3 === 0) continue;
        if (index % 3 === 1) expected.views = countUp(expected.views);
        else expected[`v${index}`] = '1';
      }
      await expectValues(subject.store, newer, expected);
      await expectDead(subject.store, key);
    });
  });
}

export function parallelEnds({ describe, it }: TestRunner, subject: Subject): void {
  describe('parallel ends (law 5)', () => {
    it('leaves nothing when saves, touches and atomic updates race with a delete', async () => {
      const before = subject.has('count') ? await subject.store.count() : 0;
      const key = newKey();
      await subject.store.create(key, aRecord({ userId: '7' }));
      const loaded = await subject.store.load(key);
      const work = subject.parallel(30, async (store, index) => {
        if (index === 7) return store.delete(key);
        if (index % 3 === 0) return store.touch(key, aChange(), loaded);
        if (index % 3 === 1) return store.atomic(key, 'views', countUp);
        return store.save(key, aChange({ set: { [`v${index}`]: '1' } }), loaded);
      });
      assert.equal((await work)[7], true);
      await expectUnknown(subject.store, key);
      if (subject.has('count')) assert.equal(await subject.store.count(), before);
    });

    it('lets a session that is renamed and deleted at once end under both keys, or live on under the new one', async () => {
      for (let round = 0; round < 10; round++) {
        const [key, newer] = [newKey(), newKey()];
        await subject.store.create(key, aRecord());
        const [renamed, wasDeleted] = await subject.parallel<unknown>(2, (store, index) =>
          index === 0 ? store.rename(key, newer, aChange()) : store.delete(key),
        );
        assert.equal(renamed, wasDeleted ? 'gone' : 'renamed');
        await expectUnknown(subject.store, key);
        if (wasDeleted) await expectUnknown(subject.store, newer);
        else assert.ok(await subject.store.load(newer));
      }
    });

    it('lets exactly one of 20 parallel renames win, and leaves one session', async () => {
      const key = newKey();
      await subject.store.create(key, aRecord({ values: { a: '1' } }));
      const newKeys = Array.from({ length: 20 }, newKey);
      const outcomes = await subject.parallel(20, (store, index) =>
        store.rename(key, newKeys[index], aChange()),
      );
      assert.deepEqual(outcomes.toSorted(), [...Array<string>(19).fill('gone'), 'renamed']);
      const winner = newKeys[outcomes.indexOf('renamed')];
      await expectValues(subject.store, winner, { a: '1' });
      for (const loser of newKeys) if (loser !== winner) await expectUnknown(subject.store, loser);
    });

    it('lets exactly one of 20 parallel deletes find the session', async () => {
      const key = newKey();
      await subject.store.create(key, aRecord());
      const deleted = await subject.parallel(20, (store) => store.delete(key));
      assert.equal(deleted.filter(Boolean).length, 1);
    });
  });
}

function countUp(text: string | undefined): string {
  return String(Number(text ?? 0) + 1);
}
