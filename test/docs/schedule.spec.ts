import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { MemorySessionStore, SessionStore } from 'nest-session';
import { aRecord, newKey } from 'nest-session/testing';
import { ClearSessionsJob } from '../../docs/examples/clear-sessions.job.js';
import { platforms, startApp } from '../support/http-app.js';

describe.each(platforms)('the scheduled job of docs/events.md on %s', (platform) => {
  it('is planned for three in the morning, and deletes what has expired', async () => {
    const app = await startApp({
      platform,
      imports: [ScheduleModule.forRoot()],
      providers: [ClearSessionsJob],
      store: MemorySessionStore,
      session: { sweep: false },
    });
    try {
      const store = app.get<SessionStore>(SessionStore);
      const [expired, living] = [newKey(), newKey()];
      await store.create(expired, aRecord({ expiresAt: app.clock.now() + 3_600_000 }));
      await store.create(living, aRecord({ expiresAt: app.clock.now() + 10_800_000 }));
      app.clock.advance('2h');

      const job = app.get<SchedulerRegistry>(SchedulerRegistry).getCronJob('clear-sessions');
      const next = job.nextDate();
      expect([next.hour, next.minute]).toEqual([3, 0]);
      await job.fireOnTick();
      expect(await store.countExpired()).toBe(0);
      expect(await store.count()).toBe(1);
      expect(await store.load(living)).toBeDefined();
    } finally {
      await app.close();
    }
  });
});
