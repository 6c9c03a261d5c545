import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { SessionStore } from '../../stores/session-store.js';
import { aChange, aRecord, newKey } from '../builders.js';
import type { StoreLack } from './lacks.js';
import type { Subject, TestRunner } from './subject.js';

const SECRET = 'a value that is nobody else’s';

/** Each method, asked once; a method of a capability that the store lacks is not asked. */
const QUESTIONS: readonly [string, (store: SessionStore, key: string) => Promise<unknown>, StoreLack?][] = [
  ['load', (store, key) => store.load(key)],
  ['create', (store, key) => store.create(key, aRecord({ values: { a: SECRET } }))],
  ['save', (store, key) => store.save(key, aChange({ set: { a: SECRET } }))],
  ['delete', (store, key) => store.delete(key)],
  ['touch', (store, key) => store.touch(key, aChange())],
  ['rename', (store, key) => store.rename(key, newKey(), aChange())],
  ['atomic', (store, key) => store.atomic(key, 'a', () => '1')],
  ['ping', (store) => store.ping()],
  ['deleteExpired', (store) => store.deleteExpired(), 'cleaning'],
  ['countExpired', (store) => store.countExpired(), 'cleaning'],
  ['findByUser', (store) => store.findByUser('7'), 'users'],
  ['deleteByUser', (store) => store.deleteByUser('7'), 'users'],
  ['count', (store) => store.count(), 'count'],
];

export function failure({ describe, it }: TestRunner, subject: Subject): void {
  describe('when its service fails', () => {
    for (const [method, ask, capability] of QUESTIONS) {
      if (capability && !subject.has(capability)) continue;
      if (capability === 'cleaning' && subject.options.expiresByItself) continue; // there is nothing to ask
      it(`${method} throws, and answers neither false nor undefined`, async () => {
        const key = newKey();
        await subject.store.create(key, aRecord({ userId: '7', values: { a: SECRET } }));
        await subject.break();
        await assert.rejects(ask(subject.store, key), (error) => {
          const shown = inspect(error, { depth: 10 }); // what a logger shows of it
          assert.ok(!shown.includes(key) && !shown.includes(SECRET), 'the error shows a key or a value');
          return true;
        });
      });
    }
  });
}
