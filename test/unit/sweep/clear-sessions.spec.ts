import { jest } from '@jest/globals';
import { ModuleRef } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { clearSessions, MemorySessionStore, SessionModule, SessionStore } from 'nest-session';
import { aRecord, newKey } from 'nest-session/testing';
import { SECRET } from '../../support/http-app.js';

class FourMethodStore extends SessionStore {
  load = async () => undefined;
  create = async () => true;
  save = async () => false;
  delete = async () => false;
}

describe('clearSessions', () => {
  let module: TestingModule;
  let store: SessionStore;

  const open = async (Store: new () => SessionStore = MemorySessionStore) => {
    module = await Test.createTestingModule({
      imports: [SessionModule.forRoot({ store: Store, secret: SECRET, sweep: false })],
    }).compile();
    store = module.get(SessionStore);
  };
  const createExpired = async (number: number) => {
    for (let n = 0; n < number; n++) await store.create(newKey(), aRecord({ expiresAt: Date.now() - 1 }));
  };

  afterEach(async () => {
    jest.useRealTimers();
    await module.close();
  });

  it('deletes what is over, and says how many', async () => {
    await open();
    await createExpired(3);
    const living = newKey();
    await store.create(living, aRecord({ expiresAt: Date.now() + 60_000 }));
    expect(await clearSessions(module)).toBe(3);
    expect(await clearSessions(module)).toBe(0);
    expect(await store.load(living)).toBeDefined();
  });

  it('takes the ModuleRef of any module, as a scheduled job has it', async () => {
    await open();
    await createExpired(1);
    expect(await clearSessions(module.get(ModuleRef))).toBe(1);
  });

  it('works on the store that a test puts in the place of another', async () => {
    module = await Test.createTestingModule({
      imports: [SessionModule.forRoot({ store: FourMethodStore, secret: SECRET })],
    })
      .overrideProvider(SessionStore)
      .useClass(MemorySessionStore)
      .compile();
    expect(await clearSessions(module)).toBe(0);
  });

  it('tells how far it is after each batch, and pauses as long as it was told to', async () => {
    await open();
    await createExpired(5);
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const progress: number[] = [];
    const clearing = clearSessions(module, {
      batchSize: 2,
      pause: '1m',
      onProgress: (deleted) => progress.push(deleted),
    });
    await jest.advanceTimersByTimeAsync(59_999);
    expect(progress).toEqual([2]);
    for (let minute = 0; minute < 4; minute++) {
      await jest.advanceTimersByTimeAsync(60_000);
      await new Promise(setImmediate);
    }
    expect(progress).toEqual([2, 4, 5]);
    expect(await clearing).toBe(5);
  });

  it('leaves some time to others between two batches, unless it is told not to', async () => {
    await open();
    await createExpired(4);
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const progress: number[] = [];
    const onProgress = (deleted: number) => progress.push(deleted);
    const clearing = clearSessions(module, { batchSize: 2, onProgress });
    await jest.advanceTimersByTimeAsync(19);
    await new Promise(setImmediate);
    expect(progress).toEqual([2]);
    await jest.advanceTimersByTimeAsync(1);
    await new Promise(setImmediate);
    expect(progress).toEqual([2, 4]);
    await jest.advanceTimersByTimeAsync(20);
    expect(await clearing).toBe(4);

    await createExpired(4);
    expect(await clearSessions(module, { batchSize: 2, pause: 0 })).toBe(4);
  });

  it('ends after the batch in hand, at once when it pauses, with what was done until then', async () => {
    await open();
    await createExpired(5);
    const stop = new AbortController();
    const onProgress = () => setImmediate(() => stop.abort());
    const options = { batchSize: 2, pause: '1h', signal: stop.signal, onProgress };
    expect(await clearSessions(module, options)).toBe(2);
  });

  it.each<[object, RegExp]>([
    [{ batchSize: 0 }, /^batchSize is a number of sessions: write 1000\.$/],
    [{ batchSize: 1.5 }, /^batchSize is a number/],
    [{ batchSize: NaN }, /^batchSize is a number/],
    [{ pause: '50' }, /^pause is no duration: write seconds as a number, or a text with a unit/],
    [{ pause: -1 }, /^pause is no duration/],
  ])('refuses %j', async (options, message) => {
    await open();
    await expect(clearSessions(module, options)).rejects.toThrow(TypeError);
    await expect(clearSessions(module, options)).rejects.toThrow(message);
  });

  it('says when the store cannot', async () => {
    await open(FourMethodStore);
    await expect(clearSessions(module)).rejects.toMatchObject({ code: 'SESSION_STORE_UNSUPPORTED' });
  });
});
