import { Controller, type INestApplication, Post, Get, Query, Render } from '@nestjs/common';
import { Session, SessionAuth } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { AppUsers, loggedIn, lookUps, newPerson, People, type Person, personOf } from '../support/people.js';
import type { AnySession } from '../support/stage.js';
import { useViews } from '../support/views.js';

const greeting = '<%= locals.user ? `Hello ${user.name}` : "Log in" %>';

@Controller('pages')
class Pages {
  constructor(private readonly auth: SessionAuth<Person>) {}

  @Get() @Render('page') page() {}

  @Get('with-session')
  @Render('page')
  withSession(@Session() session: AnySession) {
    return { size: session.size };
  }

  @Post('login')
  @Render('page')
  async login(@Session() session: AnySession, @Query('user') user: string) {
    await this.auth.login(session, personOf(user));
  }

  @Post('logout')
  @Render('page')
  async logout(@Session() session: AnySession) {
    await this.auth.logout(session);
  }
}

describe.each(platforms)('pages on %s', (platform) => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({
      platform,
      controllers: [Pages, People],
      session: { auth: { users: AppUsers } },
      trustsProxy: true,
      setUp: (nest: INestApplication) => useViews(nest, platform, { page: greeting }),
    });
  });
  afterAll(() => app.close());

  it.each(['/pages', '/pages/with-session'])('see the user beside the session: %s', async (path) => {
    const person = newPerson('Grace');
    const grace = await loggedIn(new Browser(app.url), person);
    const page = await grace.get(path);
    expect([page.text, page.headers.get('vary')]).toEqual(['Hello Grace', 'Cookie']);
    expect(lookUps.get(person.id)).toBe(1);
    expect((await new Browser(app.url).get(path)).text).toBe('Log in');
  });

  it('see who is logged in when they are rendered', async () => {
    const [browser, grace] = [new Browser(app.url), newPerson('Grace')];
    expect((await browser.post(`/pages/login?user=${grace.id}`)).text).toBe('Hello Grace');
    expect((await browser.post('/pages/logout')).text).toBe('Log in');
  });

  it('depend on the visitor also where nobody brought a cookie', async () => {
    const page = await new Browser(app.url).get('/pages');
    expect([page.text, page.headers.get('vary'), page.setCookies]).toEqual(['Log in', 'Cookie', []]);
  });

  it('a logout tells the browser to forget more when asked to, over HTTPS alone', async () => {
    const https = { 'x-forwarded-proto': 'https' };
    const plain = await (await loggedIn(new Browser(app.url), newPerson())).post('/logout-and-clear');
    expect(plain.headers.get('clear-site-data')).toBeNull();
    const secure = await new Browser(app.url).post('/logout-and-clear', https);
    expect(secure.headers.get('clear-site-data')).toBe('"cache", "storage"');
    const ordinary = await new Browser(app.url).post('/logout', https);
    expect(ordinary.headers.get('clear-site-data')).toBeNull();
  });

  it('the address in a list of devices is the one that the platform trusts', async () => {
    const meta = await startApp({
      platform,
      controllers: [People],
      session: { auth: { users: AppUsers, meta: true } },
      trustsProxy: true,
    });
    try {
      const browser = new Browser(meta.url);
      await browser.post(`/login?user=${newPerson().id}`, { 'x-forwarded-for': '203.0.113.7' });
      const [device] = (await browser.get('/devices')).json<{ meta: { ip: string } }[]>();
      expect(device.meta.ip).toBe('203.0.113.7');
    } finally {
      await meta.close();
    }
  });
});
