import assert from 'node:assert/strict';
import type { SessionRecord } from '../../core/record.js';
import { aRecord, newKey } from '../builders.js';
import { expectDead, expectRecord, expectUnknown, expectValues } from './expectations.js';
import type { Subject, TestRunner } from './subject.js';

const NAMES = [
  '',
  ' ',
  '__proto__',
  'constructor',
  'toString',
  'a.b',
  '$set',
  'quote\'"`\\',
  'naïve',
  '☕',
  '🍵',
  '\u0000',
  '\ud800',
];
const TEXTS = [
  '""',
  '',
  'null',
  '"é 🍵"',
  '"\u0000"',
  '\ud800',
  '\\u0000',
  "'; DROP TABLE session; --",
  '%_',
];

export function createAndLoad({ describe, it }: TestRunner, subject: Subject): void {
  describe('create and load', () => {
    it('gives back every field of a record', async () => {
      const now = subject.clock.now();
      const record = aRecord({
        values: { cart: '["tea"]', theme: '"dark"' },
        createdAt: now - 3_000,
        lastSeenAt: now - 2_000,
        expiresAt: now + 1_800_001,
        absoluteExpiresAt: now + 40 * 365 * 86_400_000,
        policy: 'i1800000',
        userId: 'user-☕-42',
      });
      const key = newKey();
      assert.equal(await subject.store.create(key, record), true);
      expectRecord(await subject.store.load(key), record);
    });

    it('gives back a record without user and values', async () => {
      const record = aRecord();
      const key = newKey();
      await subject.store.create(key, record);
      expectRecord(await subject.store.load(key), record);
    });

    it('keeps any name and any text: __proto__, empty, unicode, lone surrogates, \\u0000', async () => {
      const values = recordOfPairs(NAMES.map((name, index) => [name, TEXTS[index % TEXTS.length]]));
      const texts = recordOfPairs(TEXTS.map((text, index) => [`v${index}`, text]));
      for (const each of [values, texts]) {
        const key = newKey();
        await subject.store.create(key, aRecord({ values: each }));
        await expectValues(subject.store, key, each);
      }
    });

    it('keeps 200 kB of values', async () => {
      const values = { one: 'x'.repeat(150_000), other: '🍵'.repeat(12_500) };
      const key = newKey();
      await subject.store.create(key, aRecord({ values }));
      await expectValues(subject.store, key, values);
    });

    it('knows no key that was never created', async () => {
      await expectUnknown(subject.store, newKey());
    });

    it('refuses a key that is taken, and leaves whose it is untouched', async () => {
      const victim = aRecord({ values: { cart: '["tea"]' }, userId: 'victim' });
      const key = newKey();
      await subject.store.create(key, victim);
      assert.equal(await subject.store.create(key, aRecord({ values: { cart: '[]' } })), false);
      expectRecord(await subject.store.load(key), victim);
    });

    it('refuses a key under which a tombstone stands', async () => {
      if (!subject.has('tombstones')) return;
      const key = newKey();
      await subject.store.create(key, aRecord());
      await subject.store.delete(key, subject.clock.now() + 30_000);
      assert.equal(await subject.store.create(key, aRecord()), false);
      await expectDead(subject.store, key);
    });

    it('never loads a session whose deadline has come', async () => {
      const now = subject.clock.now();
      for (const expiresAt of [now, now - 1, now - 86_400_000]) {
        const key = newKey();
        await subject.store.create(key, aRecord({ expiresAt }));
        await expectUnknown(subject.store, key);
      }
    });

    it('loads a session until its deadline and not longer', async () => {
      const key = newKey();
      await subject.store.create(key, aRecord({ expiresAt: subject.soon() }));
      assert.ok(await subject.store.load(key));
      await subject.waitForIt();
      await expectUnknown(subject.store, key);
    });

    // Over an expired record both answers are right: ids are random, the framework tries another.
    it('creates over an expired session wholly or not at all', async () => {
      const key = newKey();
      await subject.store.create(key, aRecord({ values: { old: '1' }, expiresAt: subject.clock.now() - 1 }));
      const record = aRecord({ values: { fresh: '1' } });
      if (await subject.store.create(key, record)) expectRecord(await subject.store.load(key), record);
      else await expectUnknown(subject.store, key);
    });

    it('answers a sign of life', async () => {
      await subject.store.ping();
    });

    if (subject.has('parallel-ends')) {
      it('lets exactly one of 20 parallel creates have the key', async () => {
        const key = newKey();
        const records = Array.from({ length: 20 }, (_, index): SessionRecord =>
          aRecord({ userId: `u${index}` }),
        );
        const created = await subject.parallel(20, (store, index) => store.create(key, records[index]));
        assert.equal(created.filter(Boolean).length, 1);
        expectRecord(await subject.store.load(key), records[created.indexOf(true)]);
      });
    }
  });
}

/** With own properties, `__proto__` among them. */
function recordOfPairs(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries(pairs);
}
