import 'reflect-metadata';
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MemorySessionStore, SessionModule, SessionStore, type SessionSweepOptions } from 'nest-session';
import { aRecord, newKey } from 'nest-session/testing';
import { platforms, SECRET, startApp } from '../support/http-app.js';

/** Notes when it is asked to clean, and when it is closed. */
class NotingStore extends MemorySessionStore {
  readonly notes: string[] = [];
  #onNote: () => void = () => undefined;

  override async deleteExpired(options: Parameters<MemorySessionStore['deleteExpired']>[0]): Promise<number> {
    this.#note('cleaning');
    const deleted = await super.deleteExpired(options);
    await new Promise(setImmediate); // a batch in hand at the shutdown
    this.#note(`deleted ${deleted}`);
    return deleted;
  }

  override async close(): Promise<void> {
    this.#note('closed');
  }

  /** Resolves when there is such a note. */
  async until(note: string): Promise<void> {
    while (!this.notes.includes(note)) await new Promise<void>((resolve) => (this.#onNote = resolve));
  }

  #note(note: string): void {
    this.notes.push(note);
    this.#onNote();
  }
}

class ServerLikeStore extends NotingStore {
  override readonly expiresByItself = true;
}

const openContext = (
  store: typeof NotingStore,
  sweep: SessionSweepOptions | false,
): Promise<INestApplicationContext> => {
  @Module({ imports: [SessionModule.forRoot({ store, secret: SECRET, sweep })] })
  class WorkerModule {}
  return NestFactory.createApplicationContext(WorkerModule, { logger: false });
};

const noteExpired = async (store: SessionStore): Promise<void> => {
  await store.create(newKey(), aRecord({ expiresAt: Date.now() - 1 }));
};

describe('the sweep of a module', () => {
  it('runs in a worker without HTTP', async () => {
    const app = await openContext(NotingStore, { every: '50ms' });
    const store = app.get<NotingStore>(SessionStore);
    await noteExpired(store);
    await store.until('deleted 1');
    await app.close();
  });

  it.each(platforms)('runs in an application on %s, though no request comes', async (platform) => {
    const { app, get, close } = await startApp({
      platform,
      store: NotingStore,
      session: { sweep: { every: '50ms' } },
    });
    await get<NotingStore>(SessionStore).until('cleaning');
    expect(app.getHttpServer()).toBeDefined();
    await close();
  });

  it('has ended before the store is closed, and does not come again', async () => {
    const app = await openContext(NotingStore, { every: '1ms' });
    const store = app.get<NotingStore>(SessionStore);
    await store.until('cleaning');
    await app.close();
    const { notes } = store;
    expect(notes.at(-1)).toBe('closed');
    expect(notes.filter((note) => note === 'cleaning')).toHaveLength(
      notes.filter((note) => note.startsWith('deleted')).length,
    );
  });

  it.each<[string, typeof NotingStore, SessionSweepOptions | false]>([
    ['it is switched off', NotingStore, false],
    ['sessions leave by themselves', ServerLikeStore, { every: '1ms' }],
  ])('does not run when %s', async (_, kind, sweep) => {
    const app = await openContext(kind, sweep);
    await new Promise((resolve) => setTimeout(resolve, 20)); // twenty sweeps, if there were any
    await app.close();
    expect(app.get<NotingStore>(SessionStore).notes).toEqual(['closed']);
  });
});
