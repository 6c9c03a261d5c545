import { parallelChanges, parallelEnds } from './contract/concurrency.js';
import { createAndLoad } from './contract/create-and-load.js';
import { failure } from './contract/failure.js';
import { STORE_LACKS, type StoreLack } from './contract/lacks.js';
import { manySessions } from './contract/many-sessions.js';
import { renameAndDelete } from './contract/rename-and-delete.js';
import { save } from './contract/save.js';
import { type OpenStore, type StoreContractOptions, Subject, type TestRunner } from './contract/subject.js';
import { userIds } from './contract/user-ids.js';

/**
 * The tests that every store passes. Takes the runner, so that Jest, Vitest and `node:test` can all use it; under
 * globals, {@link describeSessionStore} is shorter.
 *
 * @param open is called before each test; the store is closed after it
 * @example
 * import { afterEach, beforeEach, describe, it } from 'node:test';
 * testSessionStore({ describe, it, beforeEach, afterEach }, async ({ clock }) => new MyStore(redis, clock));
 */
export function testSessionStore(
  runner: TestRunner,
  open: OpenStore,
  options: StoreContractOptions = {},
): void {
  const subject = new Subject(open, options);
  runner.describe(titleOf(options.lacks ?? []), () => {
    runner.beforeEach(() => subject.start());
    runner.afterEach(() => subject.stop());

    createAndLoad(runner, subject);
    save(runner, subject);
    renameAndDelete(runner, subject);
    manySessions(runner, subject);
    if (subject.has('users')) userIds(runner, subject);
    if (subject.has('parallel-changes')) parallelChanges(runner, subject);
    if (subject.has('parallel-ends')) parallelEnds(runner, subject);
    if (options.breakIt) failure(runner, subject);
  });
}

/**
 * The same with the runner's globals (Jest; Vitest with `globals: true`), as a block of its own.
 *
 * @example
 * describeSessionStore('my store', async ({ clock }) => new MyStore(clock), { lacks: ['tombstones'] });
 * @throws TypeError when there are no such globals
 */
export function describeSessionStore(name: string, open: OpenStore, options?: StoreContractOptions): void {
  const { describe, it, beforeEach, afterEach } = globalThis as Partial<TestRunner>;
  if (!describe || !it || !beforeEach || !afterEach) {
    throw new TypeError(
      'describeSessionStore() needs describe, it, beforeEach and afterEach as globals (Jest, or Vitest with ' +
        '`globals: true`). Otherwise import them, and call testSessionStore({ describe, it, beforeEach, afterEach }, open).',
    );
  }
  describe(name, () => testSessionStore({ describe, it, beforeEach, afterEach }, open, options));
}

/** Says what the store lacks, where every runner prints it. */
function titleOf(lacks: readonly StoreLack[]): string {
  if (lacks.length === 0) return 'keeps the whole contract';
  return ['keeps the contract, but for', ...lacks.map((lack) => `${lack} (${STORE_LACKS[lack]})`)].join(
    '\n    ',
  );
}
