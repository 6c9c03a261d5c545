import { durationMs } from '../../../lib/core/duration.js';

describe('durationMs', () => {
  it.each<[string | number, number]>([
    [0, 0],
    [90, 90_000],
    [0.5, 500],
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['12h', 43_200_000],
    ['14d', 1_209_600_000],
    ['2 weeks', 1_209_600_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
    ['10 Minutes', 600_000],
  ])('%p is %i ms', (duration, expected) => {
    expect(durationMs(duration)).toBe(expected);
  });

  it('is whole milliseconds, as every store keeps them', () => {
    expect(durationMs(1.2345)).toBe(1235);
    expect(durationMs(1 / 3)).toBe(333);
    expect(durationMs('0.3333s')).toBe(333);
  });

  it.each<[string, unknown]>([
    ['a text without a unit, which could be seconds or milliseconds', '10'],
    ['a text with an unknown unit', '3 fortnights'],
    ['words', 'soon'],
    ['nothing', ''],
    ['a negative number', -1],
    ['a negative text', '-5m'],
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['null', null],
    ['a Date', new Date()],
    ['a text longer than the library reads', `${' '.repeat(200)}1m`],
    ['an endless number of digits', `${'9'.repeat(120)}d`],
  ])('%s is none', (_, duration) => {
    expect(durationMs(duration as never)).toBeUndefined();
  });
});
