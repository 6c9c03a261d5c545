import { Controller, Get, Post } from '@nestjs/common';
import { Session, SessionClock, SessionStore, SystemClock } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp } from '../support/http-app.js';
import type { AnySession } from '../support/stage.js';

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: AnySession) {
    session.set('views', 1);
    return {};
  }

  @Get('look')
  look(@Session() session: AnySession) {
    return { views: session.get('views') ?? null };
  }
}

/** Asks again until it is so. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe.each(platforms)('a second of the real clock on %s', (platform) => {
  const start = (absoluteTimeout: string) =>
    startApp({
      platform,
      controllers: [Pages],
      session: { idleTimeout: '1s', absoluteTimeout, touchEvery: '10ms' },
      override: (builder) => builder.overrideProvider(SessionClock).useValue(new SystemClock()),
    });

  it('ends a session that nobody uses', async () => {
    const app = await start('1h');
    const store = app.get<SessionStore>(SessionStore);
    const browser = new Browser(app.url);
    const begun = Date.now();
    await browser.post('/start');
    await until(async () => (await store.count()) === 0);
    expect(Date.now() - begun).toBeGreaterThanOrEqual(1_000);
    expect((await browser.get('/look')).json()).toEqual({ views: null });
    await app.close();
  });

  it('ends a session at its absolute deadline while it is used', async () => {
    const app = await start('1s');
    const browser = new Browser(app.url);
    const begun = Date.now();
    const { setCookies } = await browser.post('/start');
    const cookie = setCookies[0].split(';')[0];
    await until(async () => (await browser.get('/look', { cookie })).json().views === null);
    expect(Date.now() - begun).toBeGreaterThanOrEqual(1_000);
    await app.close();
  });
});
