import { BatchSize } from '../../../lib/stores/typeorm/cleaning/batch-size.js';

const from = (max: number, ...batchesMs: number[]): number => {
  const size = new BatchSize(max, { first: 100, min: 10, targetMs: 50 });
  for (const milliseconds of batchesMs) size.adapt(milliseconds);
  return size.rows;
};

describe('BatchSize', () => {
  it.each<[string, number, number[], number]>([
    ['begins with what is known to be short', 1_000, [], 100],
    ['never has more rows than were asked for', 7, [1, 1], 7],
    ['doubles while batches are fast', 1_000, [1, 1], 400],
    ['ends its growth at what was asked for', 150, [1, 1, 1], 150],
    ['grows to what fits into the time', 1_000, [40], 125],
    ['shrinks at once when a batch took too long', 1_000, [200], 25],
    ['does not shrink to nothing: what is slow then is the commit', 1_000, [60_000, 60_000], 10],
    ['does not grow beyond a small number that was asked for', 3, [60_000], 3],
    ['takes a time of nothing for a short one', 1_000, [0], 200],
    ['has no more rows than a statement has parameters', 1e9, Array<number>(20).fill(1), 10_000],
    ['makes a batch of one out of none, which would never end', 0, [1], 1],
  ])('%s', (_, max, batchesMs, expected) => {
    expect(from(max, ...batchesMs)).toBe(expected);
  });
});
