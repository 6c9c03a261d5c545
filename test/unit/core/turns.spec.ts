import { Turns } from '../../../lib/core/turns.js';

describe('Turns', () => {
  it('runs tasks of one key one after the other, in their order, and those of different keys side by side', async () => {
    const turns = new Turns();
    const seen: string[] = [];
    let letGo = () => {};
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const first = turns.take('a', async () => {
      await held;
      seen.push('a1');
    });
    const second = turns.take('a', async () => void seen.push('a2'));
    await turns.take('b', async () => void seen.push('b'));
    expect(seen).toEqual(['b']);
    letGo();
    await Promise.all([first, second]);
    expect(seen).toEqual(['b', 'a1', 'a2']);
  });

  it('goes on after a task that failed, whose error its own caller gets', async () => {
    const turns = new Turns();
    const failing = turns.take('a', () => Promise.reject(new Error('no')));
    const next = turns.take('a', async () => 'yes');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });

  it('refuses more of one key than may wait, and takes the next when one is done', async () => {
    const turns = new Turns(2);
    let letGo = () => {};
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const waiting = [turns.take('a', () => held), turns.take('a', async () => undefined)];
    await expect(turns.take('a', async () => 'no')).rejects.toThrow(RangeError);
    expect(await turns.take('b', async () => 'yes')).toBe('yes');
    letGo();
    await Promise.all(waiting);
    expect(await turns.take('a', async () => 'yes')).toBe('yes');
  });
});
