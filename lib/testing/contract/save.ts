import assert from 'node:assert/strict';
import type { SessionRecord } from '../../core/record.js';
import { aChange, aRecord, newKey } from '../builders.js';
import { expectRecord, expectUnknown, expectValues } from './expectations.js';
import type { Subject, TestRunner } from './subject.js';

export function save({ describe, it }: TestRunner, subject: Subject): void {
  const created = async (parts?: Partial<SessionRecord>): Promise<[string, SessionRecord]> => {
    const key = newKey();
    const record = aRecord(parts);
    assert.equal(await subject.store.create(key, record), true);
    return [key, record];
  };

  describe('save', () => {
    it('applies what changed to what is stored: set, removed, all others stay', async () => {
      const [key] = await created({ values: { lang: '"en"', cart: '["tea"]', coupon: '"X"' } });
      const change = aChange({
        set: { cart: '["tea","cup"]', theme: '"dark"' },
        removed: ['coupon', 'unknown'],
      });
      assert.equal(await subject.store.save(key, change), true);
      await expectValues(subject.store, key, { lang: '"en"', cart: '["tea","cup"]', theme: '"dark"' });
    });

    it('merges what two requests changed that loaded the same', async () => {
      const [key] = await created({ values: { lang: '"en"' } });
      const loaded = await subject.store.load(key);
      await subject.store.save(key, aChange({ set: { cart: '["tea"]' } }), loaded);
      await subject.store.save(key, aChange({ set: { theme: '"dark"' }, removed: ['lang'] }), loaded);
      await expectValues(subject.store, key, { cart: '["tea"]', theme: '"dark"' });
    });

    it('drops all that is stored when the request cleared, and keeps what it set then', async () => {
      const [key] = await created({ values: { lang: '"en"', cart: '[]' } });
      const loaded = await subject.store.load(key);
      await subject.store.save(key, aChange({ set: { late: '1' } }));
      await subject.store.save(key, aChange({ cleared: true, set: { cart: '["cup"]' } }), loaded);
      await expectValues(subject.store, key, { cart: '["cup"]' });
    });

    it('writes nothing where the whole would be larger than the change says, but always makes room', async () => {
      const [key] = await created({ values: { a: 'x'.repeat(60) } });
      const loaded = await subject.store.load(key);
      const add = (name: string) => aChange({ set: { [name]: 'é'.repeat(15) }, maxSize: 100 });
      assert.equal(await subject.store.save(key, add('b'), loaded), true);
      const tooLarge = (error: unknown) => (error as { code?: unknown }).code === 'SESSION_TOO_LARGE';
      await assert.rejects(async () => subject.store.save(key, add('c'), loaded), tooLarge);
      await assert.rejects(async () => subject.store.rename(key, newKey(), add('c')), tooLarge);
      await expectValues(subject.store, key, { a: 'x'.repeat(60), b: 'é'.repeat(15) });
      assert.equal(await subject.store.save(key, aChange({ removed: ['b'], maxSize: 50 })), true);
      assert.equal(await subject.store.save(key, aChange({ set: { a: '1' }, maxSize: 50 })), true);
      await expectValues(subject.store, key, { a: '1' });
    });

    it('takes __proto__ and constructor for names like others', async () => {
      const [key] = await created({ values: { constructor: '1' } });
      await subject.store.save(
        key,
        aChange({ set: JSON.parse('{"__proto__":"2"}') as Record<string, string> }),
      );
      await expectValues(
        subject.store,
        key,
        JSON.parse('{"constructor":"1","__proto__":"2"}') as Record<string, string>,
      );
      await subject.store.save(key, aChange({ removed: ['__proto__', 'constructor', 'toString'] }));
      await expectValues(subject.store, key, {});
    });

    it('moves the deadlines, and keeps handle, user, start and absolute deadline', async () => {
      const [key, record] = await created({ userId: '7', values: { lang: '"en"' } });
      const times = { lastSeenAt: record.lastSeenAt + 5_000, expiresAt: record.expiresAt + 5_000 };
      await subject.store.save(key, aChange(times));
      expectRecord(await subject.store.load(key), { ...record, ...times });
    });

    it('never sets the last visit back', async () => {
      const [key, record] = await created();
      await subject.store.save(key, aChange({ lastSeenAt: record.lastSeenAt - 5_000 }));
      assert.equal((await subject.store.load(key))?.lastSeenAt, record.lastSeenAt);
    });

    it('keeps the later visit that a parallel request noted since the session was loaded', async () => {
      const [key, record] = await created();
      const loaded = await subject.store.load(key);
      const later = { lastSeenAt: record.lastSeenAt + 5_000, expiresAt: record.expiresAt + 5_000 };
      await subject.store.touch(key, { ...later, basedOn: '' });
      const { lastSeenAt, expiresAt } = record;
      await subject.store.save(key, aChange({ set: { a: '1' }, lastSeenAt, expiresAt }), loaded);
      expectRecord(await subject.store.load(key), {
        ...record,
        values: { a: '1' },
        lastSeenAt: later.lastSeenAt,
      });
    });

    it('writes the values but not the deadline when that was computed from another policy', async () => {
      const [key, record] = await created({ policy: 'theirs' });
      const change = aChange({ set: { a: '1' }, basedOn: 'mine', expiresAt: record.expiresAt + 9_000 });
      await subject.store.save(key, change);
      const saved = await subject.store.load(key);
      expectRecord(saved, {
        ...record,
        values: { a: '1' },
        lastSeenAt: Math.max(record.lastSeenAt, change.lastSeenAt),
      });
    });

    it('lets a new policy win over the stored one, with its deadline', async () => {
      const [key, record] = await created({ policy: 'theirs' });
      const expiresAt = record.expiresAt + 9_000;
      await subject.store.save(key, aChange({ basedOn: 'mine', policy: 'new', expiresAt }));
      const saved = await subject.store.load(key);
      assert.deepEqual([saved?.policy, saved?.expiresAt], ['new', expiresAt]);
    });

    it('ends the session when the new deadline has come', async () => {
      const [key] = await created();
      assert.equal(
        await subject.store.save(key, aChange({ expiresAt: subject.clock.now(), policy: 'end' })),
        true,
      );
      await expectUnknown(subject.store, key);
      assert.equal(await subject.store.save(key, aChange()), false);
    });

    it('creates nothing under an unknown key', async () => {
      const key = newKey();
      assert.equal(await subject.store.save(key, aChange({ set: { a: '1' } })), false);
      await expectUnknown(subject.store, key);
    });

    it('brings no deleted and no expired session back, whatever the request has loaded', async () => {
      const [deleted] = await created();
      const [expired] = await created({ expiresAt: subject.soon() });
      const loaded = [await subject.store.load(deleted), await subject.store.load(expired)];
      await subject.store.delete(deleted);
      await subject.waitForIt();
      for (const [index, key] of [deleted, expired].entries()) {
        assert.equal(await subject.store.save(key, aChange({ set: { a: '1' } }), loaded[index]), false);
        await expectUnknown(subject.store, key);
      }
    });
  });

  describe('touch', () => {
    it('moves the deadline and nothing else', async () => {
      const [key, record] = await created({ values: { a: '1' }, userId: '7' });
      const times = { lastSeenAt: record.lastSeenAt + 5_000, expiresAt: record.expiresAt + 5_000 };
      assert.equal(await subject.store.touch(key, { ...times, basedOn: '' }), true);
      expectRecord(await subject.store.load(key), { ...record, ...times });
    });

    it('is dropped when a parallel request gave the session another policy', async () => {
      const [key, record] = await created({ policy: 'theirs' });
      const touch = { lastSeenAt: record.lastSeenAt, expiresAt: record.expiresAt + 5_000, basedOn: 'mine' };
      assert.equal(await subject.store.touch(key, touch), true);
      expectRecord(await subject.store.load(key), record);
    });

    it('finds no unknown, deleted or expired session, and leaves nothing', async () => {
      const [deleted] = await created();
      const [expired, { lastSeenAt }] = await created({ expiresAt: subject.clock.now() - 1 });
      await subject.store.delete(deleted);
      for (const key of [newKey(), deleted, expired]) {
        const touch = { lastSeenAt, expiresAt: subject.clock.now() + 60_000, basedOn: '' };
        assert.equal(await subject.store.touch(key, touch), false);
        await expectUnknown(subject.store, key);
      }
    });
  });

  describe('atomic', () => {
    it('reads a value, changes it and leaves the deadlines alone', async () => {
      const [key, record] = await created({ values: { views: '1', lang: '"en"' } });
      const result = await subject.store.atomic(key, 'views', (text) => String(Number(text) + 1));
      assert.deepEqual(result, { text: '2' });
      expectRecord(await subject.store.load(key), { ...record, values: { views: '2', lang: '"en"' } });
    });

    it('starts from undefined where there is no value, and removes one when it ends with undefined', async () => {
      const [key] = await created({ values: { stock: '1' } });
      const seen: (string | undefined)[] = [];
      await subject.store.atomic(key, 'toString', (text) => (seen.push(text), '"x"'));
      await subject.store.atomic(key, 'stock', () => undefined);
      assert.equal(seen.at(-1), undefined);
      await expectValues(subject.store, key, { toString: '"x"' });
    });

    it('writes nothing when the update throws, and throws the same', async () => {
      const [key] = await created({ values: { stock: '0' } });
      const soldOut = new Error('sold out');
      const update = () => {
        throw soldOut;
      };
      await assert.rejects(subject.store.atomic(key, 'stock', update), (error) => error === soldOut);
      await expectValues(subject.store, key, { stock: '0' });
      assert.ok(await subject.store.atomic(key, 'stock', () => '9')); // and nothing stays locked
    });

    it('finds no unknown, deleted or expired session, and leaves nothing', async () => {
      const [deleted] = await created();
      const [expired] = await created({ expiresAt: subject.clock.now() - 1 });
      await subject.store.delete(deleted);
      for (const key of [newKey(), deleted, expired]) {
        assert.equal(await subject.store.atomic(key, 'a', () => '1'), undefined);
        await expectUnknown(subject.store, key);
      }
    });
  });
}
