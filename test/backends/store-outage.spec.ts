import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { SessionFormatException } from 'nest-session';
import { AskStore } from '../../lib/backends/ask-store.js';
import { SessionEvents } from '../../lib/events/session-events.js';

const refused = () => Promise.reject(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }));

describe('What is told of a store that fails', () => {
  let lines: string[];
  let events: SessionEvents;
  let asking: AskStore;
  const ask = (work: () => Promise<unknown>, operation: 'load' | 'save' = 'load') =>
    asking.ask(operation, work).catch((error: unknown) => error);

  beforeEach(() => {
    jest.useFakeTimers();
    lines = [];
    for (const level of ['error', 'warn'] as const)
      jest.spyOn(Logger.prototype, level).mockImplementation((line) => void lines.push(String(line)));
    events = new SessionEvents();
    asking = new AskStore(5_000, events);
  });
  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('is one line of each kind and half minute, with a count, and an event each time', async () => {
    let heard = 0;
    events.on('storeFailed', () => heard++);
    for (let i = 0; i < 50; i++) await ask(refused);
    await ask(refused, 'save');
    const [load, save] = ['load', 'save'].map(
      (each) => `The session store failed to ${each}: Error: connect (ECONNREFUSED)`,
    );
    expect(lines).toEqual([load, save]);
    jest.advanceTimersByTime(30_000);
    expect(lines.slice(2)).toEqual([`${load} (49 more in the last 30 s)`]);
    jest.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(3);
    await ask(refused);
    expect(lines.slice(3)).toEqual([load]);
    expect(heard).toBe(52);
  });

  it('has a bound, whatever the kinds', async () => {
    for (let i = 0; i < 500; i++)
      await ask(() => Promise.reject(Object.assign(new Error('x'), { code: `E${i}` })));
    expect(lines.length).toBeLessThan(110);
  });

  it('is a newer format where the store itself met one, also of the other build', async () => {
    const heard: unknown[] = [];
    events.on('newerFormat', (event) => heard.push(event));
    events.on('storeFailed', () => heard.push('storeFailed'));
    const ofOtherBuild = Object.assign(new Error(), { code: 'SESSION_FORMAT_NEWER', handle: 'h', format: 9 });
    for (const error of [new SessionFormatException('h', 9), ofOtherBuild])
      expect(await ask(() => Promise.reject(error))).toMatchObject({
        code: 'SESSION_FORMAT_NEWER',
        format: 9,
      });
    expect(heard).toEqual(Array(2).fill({ handle: 'h', format: 9 }));
    expect(lines).toHaveLength(1);
  });
});
