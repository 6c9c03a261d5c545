import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { SessionEvents } from '../../../lib/events/session-events.js';

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('SessionEvents', () => {
  let warned: string[];
  let events: SessionEvents;

  beforeEach(() => {
    warned = [];
    jest.spyOn(Logger.prototype, 'warn').mockImplementation((message) => void warned.push(String(message)));
    events = new SessionEvents();
  });
  afterEach(() => jest.restoreAllMocks());

  it('tells each listener of its own event, and no other', () => {
    const seen: unknown[] = [];
    events.on('corrupt', (event) => seen.push(['first', event]));
    events.on('corrupt', (event) => seen.push(['second', event]));
    events.on('unsaved', (event) => seen.push(event));
    events.emit('corrupt', { handle: 'h' });

    expect(seen).toEqual([
      ['first', { handle: 'h' }],
      ['second', { handle: 'h' }],
    ]);
  });

  it('needs no listener', () => {
    expect(() => events.emit('corrupt', { handle: 'h' })).not.toThrow();
  });

  it('ends a subscription, and only that one', () => {
    const seen: string[] = [];
    const off = events.on('corrupt', () => seen.push('first'));
    events.on('corrupt', () => seen.push('second'));
    off();
    off();
    events.emit('corrupt', { handle: 'h' });

    expect(seen).toEqual(['second']);
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('hunter2');
      },
    ],
    ['rejects', () => Promise.reject(new Error('hunter2'))],
  ])('a listener that %s stops nobody; it is warned of once, without its message', async (_, failing) => {
    const seen: string[] = [];
    events.on('corrupt', failing);
    events.on('corrupt', () => seen.push('called'));
    for (let i = 0; i < 3; i++) events.emit('corrupt', { handle: 'h' });
    await settled();

    expect(seen).toHaveLength(3);
    expect(warned).toEqual(['A listener of the session event "corrupt" failed; it is called on.']);
  });

  it('warns of each failing listener', () => {
    for (let i = 0; i < 2; i++) {
      events.on('corrupt', () => {
        throw new Error();
      });
    }
    events.emit('corrupt', { handle: 'h' });

    expect(warned).toHaveLength(2);
  });

  it('warns once for each topic, and again after a thousand others: memory stays bounded', () => {
    events.warnOnce('first', 'told');
    events.warnOnce('first', 'told');
    expect(warned).toEqual(['told']);
    for (let i = 1; i < 1_000; i++) events.warnOnce(i, 'other');
    events.warnOnce('first', 'told');
    expect(warned.filter((each) => each === 'told')).toHaveLength(1);

    events.warnOnce('one more', 'other');
    events.warnOnce('first', 'told');
    expect(warned.filter((each) => each === 'told')).toHaveLength(2);
  });

  it('keeps what it warned of to itself: another application warns anew', () => {
    events.warnOnce('topic', 'told');
    new SessionEvents().warnOnce('topic', 'told');
    expect(warned).toHaveLength(2);
  });
});
