import { Controller, Post, Query } from '@nestjs/common';
import { Session, SessionAuth } from 'nest-session';
import { EncryptedCookieSessions } from 'nest-session/cookie';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { AppUsers, newPerson, people } from '../support/people.js';
import type { AnySession } from '../support/stage.js';

const DAY = 86_400;
const ABSOLUTE = 30 * DAY;

const EXPIRIES: Record<string, () => number | string | Date | undefined> = {
  '14 * 86400': () => 14 * DAY,
  "'14d'": () => '14d',
  '10': () => 10,
  'a Date': () => new Date(now + 14 * DAY * 1000),
  '0': () => 0,
  "'browser'": () => 'browser',
  undefined: () => undefined,
};
let now: number;

@Controller()
class Pages {
  constructor(private readonly auth: SessionAuth) {}

  @Post('expiry')
  expiry(@Session() session: AnySession, @Query('as') as: string) {
    session.set('a', 1);
    session.setExpiry(EXPIRIES[as]());
    return { atBrowserClose: session.expiresAtBrowserClose, age: session.expiryAge };
  }

  @Post('login')
  async login(
    @Session() session: AnySession,
    @Query('user') user: string,
    @Query('remember') remember: string,
  ) {
    await this.auth.login(session, people.get(user)!, { remember: remember === 'yes' });
    return {};
  }
}

const maxAgeOf = ([line]: readonly string[]) => {
  const [, seconds] = / Max-Age=(\d+)/.exec(line) ?? [];
  return seconds === undefined ? 'browser' : Number(seconds);
};

const homes = [
  ['a store', undefined],
  ['the encrypted cookie', EncryptedCookieSessions],
] as const;
const everywhere = platforms.flatMap((platform) =>
  homes.map(([name, store]) => [platform, name, store] as const),
);

describe.each(everywhere)('persistent: false on %s with %s', (platform, _, store) => {
  let app: TestApp;
  let browser: Browser;
  beforeAll(async () => {
    app = await startApp({
      platform,
      store,
      controllers: [Pages],
      session: { cookie: { persistent: false }, auth: { users: AppUsers, rememberFor: '60d' } },
    });
  });
  afterAll(() => app.close());
  beforeEach(() => {
    browser = new Browser(app.url);
    now = app.clock.now();
  });

  it.each<[string, number | 'browser', number]>([
    ['14 * 86400', ABSOLUTE, 14 * DAY],
    ["'14d'", ABSOLUTE, 14 * DAY],
    ['10', ABSOLUTE, 10],
    ['a Date', 14 * DAY, 14 * DAY],
    ['0', 'browser', 14 * DAY],
    ["'browser'", 'browser', 14 * DAY],
    ['undefined', 'browser', 14 * DAY],
  ])('setExpiry(%s) makes a cookie that ends after %s', async (as, maxAge, age) => {
    const answer = await browser.post(`/expiry?as=${encodeURIComponent(as)}`);
    expect(answer.json()).toEqual({ atBrowserClose: maxAge === 'browser', age });
    expect(maxAgeOf(answer.setCookies)).toBe(maxAge);
  });

  it('setExpiry() of a time does not undo remember: true', async () => {
    const login = await browser.post(`/login?user=${newPerson().id}&remember=yes`);
    expect(maxAgeOf(login.setCookies)).toBe(60 * DAY);

    const answer = await browser.post(`/expiry?as=${encodeURIComponent("'14d'")}`);
    expect(answer.json()).toEqual({ atBrowserClose: false, age: 14 * DAY });
    if (answer.setCookies.length > 0) expect(maxAgeOf(answer.setCookies)).toBe(60 * DAY);
    expect((await browser.jar.getCookies(app.url))[0]?.maxAge).toBe(60 * DAY);
  });

  it('setExpiry() of a time makes the cookie last after a login without remember', async () => {
    const login = await browser.post(`/login?user=${newPerson().id}&remember=no`);
    expect(maxAgeOf(login.setCookies)).toBe('browser');

    const answer = await browser.post(`/expiry?as=${encodeURIComponent("'14d'")}`);
    expect(maxAgeOf(answer.setCookies)).toBe(ABSOLUTE);
  });
});
