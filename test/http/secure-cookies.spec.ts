import { jest } from '@jest/globals';
import { Controller, Get, Logger, Post } from '@nestjs/common';
import { Session, type SessionCookieOptions } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: Session<{ views: number }>) {
    session.set('views', 1);
    return {};
  }

  @Get('read')
  read(@Session('views') views: number | undefined) {
    return { views: views ?? null };
  }

  @Post('flush')
  async flush(@Session() session: Session) {
    await session.flush();
    return {};
  }
}

const https = { 'x-forwarded-proto': 'https' };

describe.each(platforms)('the cookie on HTTPS · %s', (platform) => {
  const apps: TestApp[] = [];
  const start = async (cookie: SessionCookieOptions = {}, trustsProxy = true, alwaysHttps = false) => {
    const session = { cookie, alwaysHttps };
    const app = await startApp({ platform, trustsProxy, controllers: [Pages], session });
    apps.push(app);
    return new Browser(app.url);
  };
  afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));

  const nameOf = (setCookie: string) => setCookie.split('=')[0];
  const pairOf = (setCookie: string) => setCookie.split(';')[0];

  it('is __Host-sessionid and Secure, and plain sessionid on HTTP', async () => {
    const browser = await start();
    const [secure] = (await browser.post('/start', https)).setCookies;
    expect([nameOf(secure), secure.includes('; Secure')]).toEqual(['__Host-sessionid', true]);
    const [plain] = (await browser.post('/start')).setCookies;
    expect([nameOf(plain), plain.includes('Secure')]).toEqual(['sessionid', false]);
  });

  it('is __Host-sessionid and Secure on what the platform calls HTTP, with alwaysHttps', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn');
    const browser = await start({}, false, true);
    const [secure] = (await browser.post('/start')).setCookies;
    expect([nameOf(secure), secure.includes('; Secure')]).toEqual(['__Host-sessionid', true]);
    const cookie = pairOf(secure);
    expect((await browser.get('/read', { cookie })).json()).toEqual({ views: 1 });
    expect((await browser.get('/read', { ...https, cookie })).json()).toEqual({ views: 1 });
    const planted = cookie.replace('__Host-', '');
    expect((await browser.get('/read', { cookie: planted })).json()).toEqual({ views: null });
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('is not withheld on what the platform calls HTTP, with alwaysHttps', async () => {
    const browser = await start({ secure: true, sameSite: 'none' }, false, true);
    expect((await browser.post('/start')).setCookies).toEqual([expect.stringContaining('SameSite=None')]);
  });

  it.each([
    ['__Secure-sessionid', { domain: 'example.com' }],
    ['__Secure-sessionid', { path: '/shop' }],
    ['mine', { name: 'mine' }],
  ])('is %s with %j', async (name, cookie) => {
    const browser = await start(cookie);
    expect((await browser.post('/start', https)).setCookies.map(nameOf)).toEqual([name]);
  });

  it('is read under its prefixed name on any transport, and wins there', async () => {
    const browser = await start();
    const secure = pairOf((await browser.post('/start', https)).setCookies[0]);
    const other = pairOf((await new Browser(browser.origin).post('/start')).setCookies[0]);
    for (const headers of [{}, https])
      expect((await browser.get('/read', { ...headers, cookie: `${other}; ${secure}` })).json()).toEqual({
        views: 1,
      });
    const cleared = await browser.post('/flush', { ...https, cookie: `${other}; ${secure}` });
    expect(cleared.setCookies).toEqual([
      '__Host-sessionid=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
    ]);
  });

  it('does not count under its plain name on HTTPS: a neighbour on HTTP could have planted it', async () => {
    const browser = await start();
    const plain = pairOf((await browser.post('/start')).setCookies[0]);
    expect((await browser.get('/read', { cookie: plain })).json()).toEqual({ views: 1 });
    expect((await browser.get('/read', { ...https, cookie: plain })).json()).toEqual({ views: null });
  });

  it('does not count under another name than the one that was signed', async () => {
    const browser = await start();
    const [, value] = pairOf((await browser.post('/start')).setCookies[0]).split('=');
    const renamed = { ...https, cookie: `__Host-sessionid=${value}` };
    expect((await browser.get('/read', renamed)).json()).toEqual({ views: null });
  });

  it('carries every attribute that is configured', async () => {
    const browser = await start({
      name: 'mine',
      path: '/shop',
      domain: 'example.com',
      secure: true,
      sameSite: 'none',
      httpOnly: false,
      partitioned: true,
      priority: 'high',
    });
    const [setCookie] = (await browser.post('/start', https)).setCookies;
    const attributes = setCookie.split('; ').slice(1).sort();
    expect(attributes).toEqual(
      [
        'Max-Age=2592000',
        'Domain=example.com',
        'Path=/shop',
        'Secure',
        'Partitioned',
        'Priority=High',
        'SameSite=None',
      ].sort(),
    );
  });

  describe('warnings', () => {
    const warnings: string[] = [];
    beforeEach(() => {
      warnings.splice(0);
      jest
        .spyOn(Logger.prototype, 'warn')
        .mockImplementation((text: unknown) => void warnings.push(String(text)));
    });
    afterEach(() => jest.restoreAllMocks());

    it('says once that a Secure cookie is withheld on plain HTTP, and starts no session there', async () => {
      const browser = await start({ secure: true });
      for (let i = 0; i < 2; i++) expect((await browser.post('/start')).setCookies).toEqual([]);
      expect(warnings).toEqual([expect.stringContaining('plain HTTP')]);
      expect((await browser.post('/start', https)).setCookies).toHaveLength(1);
    });

    it('says once that a proxy is not trusted', async () => {
      const browser = await start({}, false);
      for (const visitor of [browser, new Browser(browser.origin)])
        expect((await visitor.post('/start', https)).setCookies.map(nameOf)).toEqual(['sessionid']);
      expect(warnings).toEqual([expect.stringContaining('trust proxy')]);
    });
  });
});
