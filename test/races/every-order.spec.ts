import { MemorySessionStore } from 'nest-session';
import { DirectRequests } from '../support/direct-requests.js';
import { HeldStore, inEveryOrder } from '../support/every-order.js';
import { nameOf, type Operation, play, storiesWith } from './operations.js';

/** Between two operations: nothing, or one that gives the session a new id. */
const MIDDLES: (Operation | undefined)[] = [undefined, 'cycle', 'confirm', 'login'];

/** More than any story has; a story with more would say so. */
const MAX = 10_000;

describe.each(MIDDLES)('one session stays one, in every order of commands, with %s between', (middle) => {
  let direct: DirectRequests;
  let held: HeldStore;

  beforeAll(async () => {
    direct = await DirectRequests.open({ store: MemorySessionStore });
    held = new HeldStore(direct.store);
  });
  afterAll(() => direct.close());

  it.each(storiesWith(middle).map((story) => [nameOf(story), story] as const))(
    '%s',
    async (_, story) => {
      const problems = new Set<string>();
      const { orders, areAll } = await inEveryOrder(
        async (choose) => {
          for (const problem of await play(direct, held, story, choose)) problems.add(problem);
          direct.clock.advance('31d'); // what a story leaves is over, and goes
          await direct.store.deleteExpired();
        },
        story.operations,
        MAX,
      );
      expect([...problems].slice(0, 3)).toEqual([]);
      expect(orders).toBeGreaterThan(0);
      expect(areAll).toBe(true);
    },
    120_000,
  );
});
