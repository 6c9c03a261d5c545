import { Controller, Get, Post } from '@nestjs/common';
import { Session, Sessions } from 'nest-session';
import { EncryptedCookieSessions } from 'nest-session/cookie';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import type { AnySession } from '../support/stage.js';

@Controller()
class Pages {
  @Get()
  read(@Session() session: AnySession) {
    return session.data;
  }

  @Post()
  write(@Session() session: AnySession) {
    session.set('visited', true);
    return {};
  }
}

describe.each(platforms)('an encrypted cookie that is made outside of requests, on %s', (platform) => {
  let app: TestApp;
  let sessions: Sessions;
  beforeAll(async () => {
    app = await startApp({
      platform,
      controllers: [Pages],
      store: EncryptedCookieSessions,
      trustsProxy: true,
    });
    sessions = app.get<Sessions>(Sessions);
  });
  afterAll(() => app.close());

  const created = async (values: object) => {
    const session = await sessions.create<Record<string, unknown>>();
    session.update(values);
    await session.save();
    return session;
  };
  const namesOf = (cookies: readonly string[]) => cookies.map((each) => each.split('=', 1)[0]);

  it.each([
    ['in one', { greeting: 'hello' }],
    ['in several', { long: [...Array(900).keys()].map((n) => (n * 7919).toString(36)).join() }],
  ])('is a session over plain HTTP, by secure: false, %s', async (_, values) => {
    const session = await created(values);
    const options = { secure: false };

    const cookie = sessions.cookieHeader(session, options);
    expect((await new Browser(app.url).get('/', { cookie })).json()).toEqual(values);

    const browser = new Browser(app.url);
    for (const each of sessions.setCookieHeaders(session, options)) {
      expect(each).toMatch(/^sessionid/);
      expect(each).not.toMatch(/; Secure/);
      await browser.jar.setCookie(each, app.url); // throws where a browser would drop it
    }
    expect((await browser.get('/')).json()).toEqual(values);
    await browser.post('/');
    expect((await browser.get('/')).json()).toEqual({ ...values, visited: true });
  });

  it('is one over HTTPS unless told otherwise, whatever was asked for before', async () => {
    const session = await created({ greeting: 'hello' });
    sessions.setCookieHeaders(session, { secure: false });

    const setCookies = sessions.setCookieHeaders(session);
    expect(namesOf(setCookies)).toEqual(['__Host-sessionid']);
    expect(setCookies[0]).toMatch(/; Secure/);
    const headers = { cookie: sessions.cookieHeader(session), 'x-forwarded-proto': 'https' };
    expect((await new Browser(app.url).get('/', headers)).json()).toEqual({ greeting: 'hello' });
  });

  it('holds what was saved last', async () => {
    const session = await created({ n: 1 });
    sessions.cookieHeader(session, { secure: false });
    session.set('n', 2);
    await session.save();

    const cookie = sessions.cookieHeader(session, { secure: false });
    expect((await new Browser(app.url).get('/', { cookie })).json()).toEqual({ n: 2 });
  });
});
