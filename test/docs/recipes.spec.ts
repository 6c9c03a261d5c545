import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import {
  BadRequestException,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Post,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { Session } from 'nest-session';
import { corsForOtherSite, sessionsForOtherSite } from '../../docs/examples/other-site.js';
import { PaymentController } from '../../docs/examples/payment.controller.js';
import { TenantInterceptor } from '../../docs/examples/tenant.interceptor.js';
import { trackerOf } from '../../docs/examples/tracker.js';
import '../../docs/examples/cart.spec.js'; // a test itself: it runs here
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp, type TestAppOptions } from '../support/http-app.js';
import { AppUsers, loggedIn, newPerson, People } from '../support/people.js';
import { SiteBrowser } from '../support/site-browser.js';

@Controller('api')
class Api {
  @Get('cart')
  cart(@Session('cart') cart: string[] | undefined) {
    return { cart: cart ?? [] };
  }

  @Post('cart')
  add(@Session() session: Session<{ cart: string[] }>) {
    session.setDefault('cart', []).push('tea');
    return {};
  }

  @Post('mistake')
  mistake(@Session() session: Session<{ cart: string[] }>) {
    session.set('cart', ['tea']);
    throw new BadRequestException();
  }
}

/** Of a host by another name, which fetch() does not let one say. */
async function requestOf(url: string, method: string, path: string, headers: Record<string, string>) {
  const request = httpRequest(url + path, { method, headers }).end();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  return { status: answer.statusCode, cookie: answer.headers['set-cookie']?.[0].split(';')[0] };
}

@Controller('pay')
class PayPage {
  @Get()
  page() {
    return 'the provider asks for a card';
  }
}

describe.each(platforms)('the recipes of docs/recipes.md on %s', (platform) => {
  const apps: TestApp[] = [];
  const start = async (options: Omit<TestAppOptions, 'platform'>) => {
    const app = await startApp({ platform, ...options });
    apps.push(app);
    return app;
  };
  afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));

  describe('a single-page application on another site', () => {
    const from = (origin: string) => ({
      origin,
      'sec-fetch-site': 'cross-site',
      'x-forwarded-proto': 'https',
    });
    const ours = from('https://shop.pages.example');
    const api = () =>
      start({
        controllers: [Api],
        session: sessionsForOtherSite,
        trustsProxy: true,
        setUp: (nest) => nest.enableCors(corsForOtherSite),
      });

    it('gets a cookie that browsers send from there, and reads its answers', async () => {
      const browser = new Browser((await api()).url);
      const first = await browser.post('/api/cart', ours);
      const [setCookie] = first.setCookies;
      expect(setCookie).toMatch(/^__Host-sessionid=.*; Secure; (.*; )?SameSite=None/);
      expect(setCookie).toContain('; Partitioned');
      const cookie = setCookie.split(';')[0];
      await browser.post('/api/cart', { ...ours, cookie });
      const read = await browser.get('/api/cart', { ...ours, cookie });
      expect(read.json()).toEqual({ cart: ['tea', 'tea'] });
      expect(read.headers.get('access-control-allow-origin')).toBe(ours.origin);
      expect(read.headers.get('access-control-allow-credentials')).toBe('true');
      expect(read.headers.get('vary')).toContain('Cookie');
    });

    it('may ask beforehand, and no other page may write', async () => {
      const browser = new Browser((await api()).url);
      const [cookie] = (await browser.post('/api/cart', ours)).setCookies[0].split(';');
      const asking = await browser.request('OPTIONS', '/api/cart', {
        headers: { ...ours, 'access-control-request-method': 'DELETE' },
      });
      expect([asking.status, asking.headers.get('access-control-allow-origin')]).toEqual([204, ours.origin]);
      expect(asking.headers.get('access-control-allow-methods')).toContain('DELETE');
      const evil = await browser.post('/api/cart', { ...from('https://evil.example'), cookie });
      expect([evil.status, evil.json().code]).toEqual([403, 'SESSION_CSRF']);
      expect(evil.headers.get('access-control-allow-origin')).not.toBe('https://evil.example');
    });
  });

  it('a payment whose provider posts the visitor back ends in the session in which it began, once', async () => {
    const app = await start({
      controllers: [PaymentController, Api],
      session: { csrf: true },
      trustsProxy: true,
    });
    const SHOP = 'https://shop.example';
    const pay = await start({ controllers: [PayPage] });
    const browser = new SiteBrowser({ 'shop.example': app.url, 'pay.example': pay.url });
    await browser.post(`${SHOP}/api/cart`, new URLSearchParams(), `${SHOP}/`);
    await browser.post(`${SHOP}/payment/begin`, new URLSearchParams(), `${SHOP}/cart`);
    const payment = new URL(browser.page.url).searchParams.get('payment') ?? '';
    expect(browser.page.url).toContain('https://pay.example/pay?payment=');

    await browser.post(
      `${SHOP}/payment/callback`,
      new URLSearchParams({ payment }),
      'https://pay.example/pay',
    );
    const callback = browser.visits.find(({ url }) => url.endsWith('/payment/callback'));
    expect([callback?.cookie, callback?.setCookies]).toEqual(['', []]);
    expect(JSON.parse(browser.page.text)).toEqual({ paid: payment });
    expect(JSON.parse((await browser.open(`${SHOP}/api/cart`)).text)).toEqual({ cart: [] });
    expect((await browser.open(`${SHOP}/payment/done?payment=${payment}`)).status).toBe(200);
    expect((await browser.open(`${SHOP}/payment/done?payment=another`)).status).toBe(403);

    const stranger = new SiteBrowser({ 'shop.example': app.url });
    expect((await stranger.open(`${SHOP}/payment/done?payment=${payment}`)).status).toBe(403);
  });

  it('a session is of the tenant where it began, whether somebody logs in, puts something in, or makes a mistake', async () => {
    const app = await start({
      controllers: [Api, People],
      providers: [{ provide: APP_INTERCEPTOR, useClass: TenantInterceptor }],
      session: { auth: { users: AppUsers } },
    });
    const ask = (method: string, path: string, headers: Record<string, string>) =>
      requestOf(app.url, method, path, headers);
    for (const begin of ['/api/cart', '/api/mistake', `/login?user=${newPerson().id}`]) {
      const begun = await ask('POST', begin, { host: 'tea.example' });
      const { cookie = '' } = begun;
      expect(cookie).toMatch(/^sessionid=/);
      expect((await ask('GET', '/api/cart', { host: 'tea.example', cookie })).status).toBe(200);
      expect((await ask('POST', '/api/cart', { host: 'tea.example', cookie })).status).toBe(201);
      expect((await ask('GET', '/api/cart', { host: 'coffee.example', cookie })).status).toBe(403);
      expect((await ask('POST', '/api/cart', { host: 'coffee.example', cookie })).status).toBe(403);
    }
    const reader = await ask('GET', '/api/cart', { host: 'tea.example' });
    expect([reader.status, reader.cookie]).toEqual([200, undefined]);
  });

  it('throttling counts a user, else a session that came back, else an address', async () => {
    const seen: string[] = [];
    const counting: CanActivate = {
      canActivate: async (context: ExecutionContext) => {
        seen.push(await trackerOf(context.switchToHttp().getRequest()));
        return true;
      },
    };
    const app = await start({
      controllers: [Api, People],
      session: { auth: { users: AppUsers } },
      setUp: (nest) => nest.useGlobalGuards(counting),
    });
    const visitor = new Browser(app.url);
    await visitor.post('/api/cart');
    await visitor.post('/api/cart');
    await visitor.get('/api/cart');
    await new Browser(app.url).get('/api/cart');
    const [first, second, third, other] = seen.splice(0);
    expect(first).toMatch(/^address .*127\.0\.0\.1$/);
    expect([second, third]).toEqual([expect.stringMatching(/^session [0-9a-f]+$/), second]);
    expect(other).toBe(first);

    const person = newPerson();
    for (const browser of [visitor, new Browser(app.url)]) {
      await loggedIn(browser, person);
      await browser.get('/api/cart');
      expect(seen.pop()).toBe(`user ${person.id}`);
    }
  });
});
