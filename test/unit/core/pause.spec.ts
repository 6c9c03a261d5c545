import { jest } from '@jest/globals';
import { pause } from '../../../lib/core/pause.js';

describe('pause', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  const isOver = async (promise: Promise<void>): Promise<boolean> => {
    let over = false;
    void promise.then(() => (over = true));
    await jest.advanceTimersByTimeAsync(0);
    return over;
  };

  it('lasts as long as it was asked to', async () => {
    const pausing = pause(100);
    await jest.advanceTimersByTimeAsync(99);
    expect(await isOver(pausing)).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    expect(await isOver(pausing)).toBe(true);
  });

  it('ends at once when the signal aborts, and leaves no timer', async () => {
    const stop = new AbortController();
    const pausing = pause(100, { signal: stop.signal });
    expect(await isOver(pausing)).toBe(false);
    stop.abort();
    expect(await isOver(pausing)).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('does not begin when the signal has aborted', async () => {
    expect(await isOver(pause(100, { signal: AbortSignal.abort() }))).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('leaves no listener on a signal that many pauses share', async () => {
    const stop = new AbortController();
    const remove = jest.spyOn(stop.signal, 'removeEventListener');
    const pausing = pause(100, { signal: stop.signal });
    await jest.advanceTimersByTimeAsync(100);
    await pausing;
    expect(remove).toHaveBeenCalledTimes(1);
  });
});
