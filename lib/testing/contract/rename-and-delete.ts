import assert from 'node:assert/strict';
import { type SessionRecord, tombstoneOf } from '../../core/record.js';
import { aChange, aRecord, newKey } from '../builders.js';
import { expectDead, expectEmptied, expectRecord, expectUnknown } from './expectations.js';
import type { Subject, TestRunner } from './subject.js';

const GRACE_MS = 30_000;

export function renameAndDelete({ describe, it }: TestRunner, subject: Subject): void {
  const created = async (parts?: Partial<SessionRecord>): Promise<[string, SessionRecord]> => {
    const key = newKey();
    const record = aRecord(parts);
    assert.equal(await subject.store.create(key, record), true);
    return [key, record];
  };
  const grace = () => subject.clock.now() + GRACE_MS;

  describe('rename', () => {
    it('moves the session with its handle, and applies the change in the same step', async () => {
      const [key, record] = await created({ values: { cart: '["tea"]', lang: '"en"' }, userId: '7' });
      const newer = newKey();
      const change = aChange({ set: { step: '2' }, removed: ['lang'], lastSeenAt: record.lastSeenAt + 1 });
      assert.equal(await subject.store.rename(key, newer, change, grace()), 'renamed');
      const { lastSeenAt, expiresAt } = change;
      const values = { cart: '["tea"]', step: '2' };
      expectRecord(await subject.store.load(newer), { ...record, values, lastSeenAt, expiresAt });
      await expectDead(subject.store, key);
    });

    it('keeps what a parallel request saved since the session was loaded', async () => {
      const [key, record] = await created({ values: { cart: '[]' } });
      const newer = newKey();
      const loaded = await subject.store.load(key);
      await subject.store.save(key, aChange({ set: { cart: '["tea"]' } }));
      await subject.store.rename(key, newer, aChange({ set: { a: '1' } }), undefined, loaded);
      const renamed = await subject.store.load(newer);
      assert.deepEqual({ ...renamed?.values }, { cart: '["tea"]', a: '1' });
      assert.equal(renamed?.handle, record.handle);
    });

    it('leaves the deadline as it is stored when that was computed from another policy', async () => {
      const [key, record] = await created({ policy: 'theirs' });
      const newer = newKey();
      const expiresAt = record.expiresAt + 9_000;
      const { lastSeenAt } = record;
      await subject.store.rename(key, newer, aChange({ basedOn: 'keep', lastSeenAt, expiresAt }));
      expectRecord(await subject.store.load(newer), record);
    });

    it('leaves the old key unknown when no tombstone was asked for', async () => {
      const [key] = await created();
      await subject.store.rename(key, newKey(), aChange());
      await expectUnknown(subject.store, key);
    });

    it('does not find an unknown, deleted or expired session, and leaves nothing', async () => {
      const [deleted] = await created();
      const [expired] = await created({ expiresAt: subject.clock.now() - 1 });
      await subject.store.delete(deleted);
      for (const key of [newKey(), deleted, expired]) {
        const newer = newKey();
        assert.equal(await subject.store.rename(key, newer, aChange({ set: { a: '1' } }), grace()), 'gone');
        await expectUnknown(subject.store, key);
        await expectUnknown(subject.store, newer);
      }
    });

    it('refuses a new key that is taken: the victim is untouched, the session lives on', async () => {
      const [key, record] = await created({ values: { mine: '1' } });
      const [taken, victim] = await created({ values: { theirs: '1' } });
      assert.equal(await subject.store.rename(key, taken, aChange({ set: { mine: '2' } }), grace()), 'taken');
      expectRecord(await subject.store.load(taken), victim);
      expectRecord(await subject.store.load(key), record);
    });

    it('makes an anonymous session a user’s, with a new absolute deadline', async () => {
      const [key, record] = await created({ values: { cart: '["tea"]' } });
      const [newer, userId] = [newKey(), `user ${newKey()}`];
      const authentication = { userId, absoluteExpiresAt: record.absoluteExpiresAt + 5_000 };
      const change = aChange({ set: { theme: '"dark"' }, authentication });
      assert.equal(await subject.store.rename(key, newer, change, grace()), 'renamed');
      const lastSeenAt = Math.max(record.lastSeenAt, change.lastSeenAt);
      const values = { cart: '["tea"]', theme: '"dark"' };
      const expected = { ...record, ...authentication, values, lastSeenAt, expiresAt: change.expiresAt };
      expectRecord(await subject.store.load(newer), expected);
      if (!subject.has('users')) return;
      assert.deepEqual(
        (await subject.store.findByUser(userId)).map((session) => session.key),
        [newer],
      );
    });

    it('renews the absolute deadline when the same user authenticates again', async () => {
      const [key, record] = await created({ userId: '7' });
      const newer = newKey();
      const authentication = { userId: '7', absoluteExpiresAt: record.absoluteExpiresAt + 5_000 };
      await subject.store.rename(key, newer, aChange({ authentication }), grace());
      assert.equal((await subject.store.load(newer))?.absoluteExpiresAt, authentication.absoluteExpiresAt);
    });

    it('renames again, and again', async () => {
      const [first, { handle }] = await created({ values: { a: '1' } });
      const [second, third] = [newKey(), newKey()];
      await subject.store.rename(first, second, aChange(), grace());
      await subject.store.rename(second, third, aChange(), grace());
      assert.equal((await subject.store.load(third))?.handle, handle);
      for (const old of [first, second]) {
        await expectDead(subject.store, old);
        if (subject.has('tombstones')) assert.equal((await subject.store.load(old))?.gone, 'renamed');
      }
    });
  });

  describe('delete', () => {
    it('ends a session at once, and only the first time', async () => {
      const [key] = await created({ values: { a: '1' }, userId: '7' });
      assert.equal(await subject.store.delete(key), true);
      await expectUnknown(subject.store, key);
      assert.equal(await subject.store.delete(key), false);
    });

    it('does not find an unknown or expired session', async () => {
      const [expired] = await created({ expiresAt: subject.clock.now() - 1 });
      assert.equal(await subject.store.delete(expired, grace()), false);
      assert.equal(await subject.store.delete(newKey(), grace()), false);
      await expectUnknown(subject.store, expired);
    });

    it('leaves nothing when the tombstone is over before it begins', async () => {
      const [key] = await created();
      assert.equal(await subject.store.delete(key, subject.clock.now()), true);
      await expectUnknown(subject.store, key);
    });

    it('leaves other sessions alone', async () => {
      const [key] = await created({ userId: '7' });
      const [other, record] = await created({ userId: '7' });
      await subject.store.delete(key, grace());
      expectRecord(await subject.store.load(other), record);
    });
  });

  if (!subject.has('tombstones')) return;

  if (subject.has('successors')) {
    describe('successors', () => {
      const trail = `p${newKey().slice(0, 43)}`;

      it('a tombstone says where the session went, with the trail of the change', async () => {
        const [key] = await created();
        const newer = newKey();
        await subject.store.rename(key, newer, aChange({ trail }), grace());
        assert.deepEqual((await subject.store.load(key))?.successor, { key: newer, trail });
        assert.equal((await subject.store.load(newer))?.successor, undefined);
      });

      it('leads from each older key to the next, until the session has ended', async () => {
        const keys = [(await created({ userId: '7' }))[0], newKey(), newKey(), newKey()];
        for (const [index, key] of keys.slice(0, -1).entries())
          await subject.store.rename(key, keys[index + 1], aChange({ trail: `${trail}${index}` }), grace());
        await subject.store.delete(keys[3], grace());
        const tombstones = await Promise.all(keys.map((key) => subject.store.load(key)));
        assert.deepEqual(
          tombstones.map((tombstone) => [tombstone?.gone, tombstone?.successor]),
          [
            ['renamed', { key: keys[1], trail: `${trail}0` }],
            ['renamed', { key: keys[2], trail: `${trail}1` }],
            ['renamed', { key: keys[3], trail: `${trail}2` }],
            ['ended', undefined],
          ],
        );
      });

      it('can be created, under a key that is nobody’s then, and is no session', async () => {
        const [key, successor] = [newKey(), { key: newKey(), trail }];
        const before = subject.has('count') ? await subject.store.count() : 0;
        const tombstone = tombstoneOf(aRecord(), 'ended', grace(), successor);
        assert.equal(await subject.store.create(key, tombstone), true);
        assert.equal(await subject.store.create(key, { ...tombstone, handle: newKey().slice(32) }), false);
        expectRecord(await subject.store.load(key), tombstone);
        assert.equal(await subject.store.save(key, aChange({ set: { a: '1' } })), false);
        assert.equal(await subject.store.delete(key), false);
        if (subject.has('count')) assert.equal(await subject.store.count(), before);
      });

      it('takes an authentication with a save, where a parallel login has renamed the session already', async () => {
        const [key, record] = await created({ userId: '7' });
        const authentication = { userId: '7', absoluteExpiresAt: record.absoluteExpiresAt + 5_000 };
        assert.equal(await subject.store.save(key, aChange({ set: { a: '1' }, authentication })), true);
        const saved = await subject.store.load(key);
        assert.deepEqual(
          [saved?.absoluteExpiresAt, saved?.userId, { ...saved?.values }],
          [authentication.absoluteExpiresAt, '7', { a: '1' }],
        );
      });
    });
  }

  describe('tombstones', () => {
    for (const gone of ['renamed', 'ended'] as const) {
      const buried = async (until: number): Promise<string> => {
        const [key] = await created({ values: { cart: '["tea"]' }, userId: '7' });
        if (gone === 'ended') await subject.store.delete(key, until);
        else await subject.store.rename(key, newKey(), aChange(), until);
        return key;
      };

      it(`shows \`${gone}\` until its time, and holds nothing of the session`, async () => {
        const until = subject.soon();
        const key = await buried(until);
        const tombstone = await subject.store.load(key);
        assert.deepEqual([tombstone?.gone, tombstone?.expiresAt], [gone, until]);
        expectEmptied(tombstone!);
        await subject.waitForIt();
        await expectUnknown(subject.store, key);
      });

      it(`lets nobody save, touch, rename, count up or delete what is ${gone}`, async () => {
        const key = await buried(grace());
        const newer = newKey();
        const { lastSeenAt, expiresAt } = aRecord();
        assert.equal(await subject.store.save(key, aChange({ set: { a: '1' } })), false);
        assert.equal(await subject.store.touch(key, { lastSeenAt, expiresAt, basedOn: '' }), false);
        assert.equal(await subject.store.rename(key, newer, aChange(), grace()), 'gone');
        assert.equal(await subject.store.atomic(key, 'a', () => '1'), undefined);
        assert.equal(await subject.store.delete(key), false);
        assert.equal((await subject.store.load(key))?.gone, gone);
        await expectUnknown(subject.store, newer);
      });

      it(`lets nobody create under a key that is ${gone}`, async () => {
        const key = await buried(grace());
        assert.equal(await subject.store.create(key, aRecord()), false);
        assert.equal((await subject.store.load(key))?.gone, gone);
      });
    }
  });
}
