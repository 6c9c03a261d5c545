import { DirectRequests } from '../support/direct-requests.js';
import { atRandom, HeldStore } from '../support/every-order.js';
import { lawStores } from '../support/law-stores.js';
import { asksForUsers, nameOf, type Operation, play, storiesWith } from './operations.js';

/**
 * Of the orders that every-order.spec.ts tries in memory, some on each store: one for each pair, and one for every fourth
 * triple, others on each store.
 */
const MIDDLES: (Operation | undefined)[] = [undefined, 'cycle', 'login'];
const stores = lawStores.filter(({ name }) => name !== 'memory');

describe.each(stores)('one session stays one, in orders drawn by chance · $name', (lawStore) => {
  const test = lawStore.isAvailable ? describe : describe.skip;
  test.each(MIDDLES)('with %s between', (middle) => {
    let direct: DirectRequests;
    let held: HeldStore;
    let cleanUp: () => Promise<void>;

    beforeAll(async () => {
      const opened = await lawStore.open();
      cleanUp = opened.cleanUp;
      direct = await DirectRequests.open(opened.wiring);
      held = new HeldStore(direct.store);
    });
    afterAll(async () => {
      await direct.close();
      await cleanUp();
    });

    const stories = storiesWith(middle)
      .filter((_, index) => !middle || index % 4 === stores.indexOf(lawStore) % 4)
      .filter((story) => !lawStore.lacksUsers || !asksForUsers(story));
    it.each(stories.map((story) => [nameOf(story), story] as const))('%s', async (name, story) => {
      expect(await play(direct, held, story, atRandom(`${lawStore.name} ${name}`))).toEqual([]);
    });
  });
});
