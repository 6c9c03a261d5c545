import { SESSION_OPTIONS, SessionClock } from 'nest-session';
import { FakeClock } from 'nest-session/testing';
import { ADA, GRACE, leadsTo, openShop, platforms, type Shop, type Visitor } from './open-shop.js';

const DAY_SECONDS = 24 * 60 * 60;

describe.each(platforms)('accounts on %s', (platform) => {
  let shop: Shop;
  let visitor: Visitor;
  const clock = new FakeClock();

  beforeAll(async () => {
    shop = await openShop(platform, {}, (builder) => builder.overrideProvider(SessionClock).useValue(clock));
  });
  afterAll(() => shop.close());
  beforeEach(() => {
    visitor = shop.visitor();
  });

  describe('a login', () => {
    it('is for those who know the password: a new id, the same cart', async () => {
      await visitor.submit('/cart', { sku: 'assam', qty: '2' });
      const before = await visitor.browser.cookie('sessionid');
      const answer = await visitor.logIn(ADA);
      expect(leadsTo(answer)).toBe('/account');
      expect(await visitor.browser.cookie('sessionid')).not.toBe(before);

      const account = await visitor.page('/account');
      expect(account.text).toContain('Hello, Ada.');
      expect(account.text).toContain('Good to have you back, Ada.');
      expect((await visitor.json('/cart')).count).toBe(2);
      expect((await visitor.page('/')).text).toMatch(/<a href="\/account" class="who">Ada<\/a>/);
    });

    it('does not mind capitals in the address', async () => {
      await visitor.logIn({ ...ADA, email: ' Ada@Example.com ' });
      expect(await visitor.name()).toBe('Ada');
    });

    it('by JSON says where to go, and who it is', async () => {
      const answer = await visitor.call('POST', '/login', { ...ADA, next: '/account/devices' });
      expect([answer.status, answer.json()]).toEqual([
        200,
        expect.objectContaining({ next: '/account/devices', user: { name: 'Ada', email: ADA.email } }),
      ]);
    });

    it('is told nothing about which of the two was wrong, and gets the form again with the address', async () => {
      const answers = [
        await visitor.logIn({ ...ADA, password: 'coffee-for-two' }),
        await visitor.logIn({ ...ADA, email: 'nobody@example.com' }),
      ];
      const texts = answers.map(({ text }) => text.replace(/value="[^"]*"/g, ''));
      expect(answers.map(({ status, setCookies }) => [status, setCookies])).toEqual([
        [401, []],
        [401, []],
      ]);
      expect(texts[0]).toContain('That address and that password do not go together.');
      expect(texts[1]).toBe(texts[0]);
      expect(answers[0].text).toContain('value="ada@example.com"');
      expect(answers[0].text).not.toContain('coffee-for-two');
      expect(await visitor.name()).toBeUndefined();
    });

    it.each([
      {},
      { email: 'ada', password: 'x' },
      { email: ['ada@example.com'], password: ADA.password },
      { ...ADA, password: '' },
      { ...ADA, password: { length: 20 } },
      { ...ADA, password: 'x'.repeat(129) },
    ])('refuses %j', async (body) => {
      const answer = await visitor.call('POST', '/login', body);
      expect([answer.status, answer.setCookies]).toEqual([400, []]);
    });

    it('escapes what it shows again', async () => {
      const answer = await visitor.logIn({ email: '"><b>', password: 'x' }, { next: '/"><b>' });
      expect(answer.status).toBe(400);
      expect(answer.text).not.toContain('<b>');
    });

    it('ends with the browser, or lasts for 90 days where that was asked for', async () => {
      const [forgetful, remembered] = [
        await visitor.logIn(ADA),
        await visitor.logIn(ADA, { remember: 'on' }),
      ];
      expect(forgetful.setCookies).toEqual([expect.not.stringContaining('Max-Age')]);
      expect(remembered.setCookies).toEqual([expect.stringContaining(`Max-Age=${90 * DAY_SECONDS}`)]);
      const { endsAt } = await visitor.json('/session');
      expect((Date.parse(endsAt) - clock.now()) / 1000 / DAY_SECONDS).toBe(90);
    });

    it('shows nobody the form who is logged in', async () => {
      await visitor.logIn(ADA);
      expect(leadsTo(await visitor.page('/login?next=/cart'))).toBe('/cart');
    });

    it('as somebody else takes nothing along', async () => {
      await visitor.logIn(ADA);
      await visitor.submit('/cart', { sku: 'assam', qty: '2' });
      await visitor.logIn(GRACE);
      expect(await visitor.json('/cart')).toMatchObject({ count: 0, user: { name: 'Grace' } });
    });
  });

  describe('what needs a login', () => {
    it('sends a page to the login page, and the login back to the page', async () => {
      const answer = await visitor.page('/account/devices?from=mail');
      const login = String(leadsTo(answer));
      expect(login).toBe('/login?next=%2Faccount%2Fdevices%3Ffrom%3Dmail');
      expect(answer.headers.get('vary')).toContain('Accept');

      const page = await visitor.page(login);
      const [, next] = /name="next" value="([^"]*)"/.exec(page.text) ?? [];
      expect(page.text).not.toContain('Your session has ended');
      expect(leadsTo(await visitor.logIn(ADA, { next }))).toBe('/account/devices?from=mail');
    });

    it.each([
      '//evil.example',
      '/\\evil.example',
      'https://evil.example',
      '/%2f/evil.example',
      'javascript:alert(1)',
    ])('leads nobody to %s', async (next) => {
      expect((await visitor.page(`/login?next=${encodeURIComponent(next)}`)).text).toContain(
        'name="next" value="/account"',
      );
      expect(leadsTo(await visitor.logIn(ADA, { next }))).toBe('/account');
    });

    it('tells programs so', async () => {
      const answer = await visitor.call('GET', '/account');
      expect([answer.status, answer.json().code]).toEqual([401, 'NOT_AUTHENTICATED']);
    });

    it('sends a form back to its page, and so to the login page', async () => {
      const answer = await visitor.submit('/account/password', { password: 'x' }, '/account/password');
      expect(leadsTo(answer)).toBe('/account/password');
      expect(leadsTo(await visitor.page('/account/password'))).toBe('/login?next=%2Faccount%2Fpassword');
    });

    it('says to those who stayed away too long that their session has ended', async () => {
      await visitor.logIn(ADA, { remember: 'on' });
      const cookie = `sessionid=${await visitor.browser.cookie('sessionid')}`;
      clock.advance('15d');
      // As from a browser that does not know yet that its cookie is over.
      const headers = { accept: 'text/html', cookie };
      const answer = await visitor.browser.get('/account', headers);
      const login = String(leadsTo(answer));
      expect(login).toBe('/login?next=%2Faccount&reason=expired');
      expect((await visitor.browser.get(login, headers)).text).toContain('Your session has ended');
      const json = await visitor.browser.get('/account', { accept: 'application/json', cookie });
      expect([json.status, json.json().code]).toEqual([401, 'SESSION_EXPIRED']);
    });

    it('shows no reason but its own', async () => {
      expect((await visitor.page('/login?reason=Call+0900')).text).not.toContain('0900');
    });
  });

  describe('a logout', () => {
    it('ends the session and the cookie', async () => {
      await visitor.logIn(ADA);
      const cookie = `sessionid=${await visitor.browser.cookie('sessionid')}`;
      const answer = await visitor.submit('/logout', {}, '/account');
      expect(leadsTo(answer)).toBe('/login?reason=logged-out');
      expect(await visitor.browser.cookie('sessionid')).toBeUndefined();
      expect((await visitor.page('/login?reason=logged-out')).text).toContain('You are logged out.');
      expect((await visitor.browser.get('/account', { accept: 'application/json', cookie })).status).toBe(
        401,
      );
    });
  });

  describe('a new account', () => {
    const NEW = { name: 'Mary <Jane>', email: 'mary@example.com', password: 'a pot of oolong' };

    it('is logged in at once, with the cart, and can log in again', async () => {
      await visitor.submit('/cart', { sku: 'oolong', qty: '1' });
      expect(leadsTo(await visitor.submit('/register', { ...NEW, next: '/cart' }, '/register'))).toBe(
        '/cart',
      );
      expect(await visitor.json('/cart')).toMatchObject({ count: 1, user: { name: NEW.name } });
      expect((await visitor.page('/account')).text).toContain('Hello, Mary &lt;Jane&gt;.');

      const elsewhere = shop.visitor();
      await elsewhere.logIn(NEW);
      expect(await elsewhere.name()).toBe(NEW.name);
    });

    it('needs an address of its own, also when two ask at once', async () => {
      const twins = { ...NEW, email: 'twin@example.com' };
      const answers = await Promise.all(
        [shop.visitor(), shop.visitor()].map((each) => each.call('POST', '/register', twins)),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
      const again = await visitor.submit('/register', twins, '/register');
      expect(again.status).toBe(409);
      expect(again.text).toContain('That address has an account already.');
      expect(again.text).toContain('value="twin@example.com"');
    });

    it.each([
      { name: ' ' },
      { name: 'x'.repeat(101) },
      { email: 'mary' },
      { password: 'eleven chars'.slice(1) },
    ])('is refused with %j', async (wrong) => {
      const answer = await visitor.call('POST', '/register', {
        ...NEW,
        email: 'other@example.com',
        ...wrong,
      });
      expect([answer.status, answer.setCookies]).toEqual([400, []]);
    });
  });

  describe('a page of another site', () => {
    const CROSS = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    const post = (path: string, fields: Record<string, string>, headers: Record<string, string>) =>
      visitor.browser.request('POST', path, { headers, body: new URLSearchParams(fields) });

    it('changes nothing with a visitor’s cookie', async () => {
      await visitor.logIn(ADA);
      const json = await post(
        '/account/password',
        { password: 'mine, all mine' },
        { ...CROSS, accept: 'application/json' },
      );
      expect([json.status, json.json().code]).toEqual([403, 'SESSION_CSRF']);
      const page = await post('/cart', { sku: 'assam' }, { ...CROSS, accept: 'text/html' });
      expect(page.status).toBe(403);
      expect(page.text).toContain('Not from there');
      expect(await visitor.json('/cart')).toMatchObject({ count: 0, user: { name: 'Ada' } });
    });

    it('logs nobody in who has no session yet', async () => {
      const answer = await post('/login', GRACE, { ...CROSS, accept: 'text/html' });
      expect([answer.status, answer.setCookies]).toEqual([403, []]);
    });
  });
});

describe.each(platforms)('the shop on %s, set up otherwise', (platform) => {
  let shop: Shop | undefined;
  afterEach(() => shop?.close());

  it('has a token in each of its forms, for those who ask for one', async () => {
    const secret = 'a secret for tests, of more than 32 characters';
    shop = await openShop(platform, {}, (builder) =>
      builder.overrideProvider(SESSION_OPTIONS).useValue({ secret, csrf: { requireToken: true } }),
    );
    const visitor = shop.visitor();
    await visitor.logIn(ADA);
    for (const path of [
      '/',
      '/cart',
      '/session',
      '/account',
      '/account/password',
      '/account/second-factor',
    ]) {
      const { text } = await visitor.page(path);
      const forms = text.split('<form').slice(1);
      const withToken = forms.filter((form) =>
        /name="_csrf" value="[\w-]{86}"/.test(form.split('</form>')[0]),
      );
      expect([path, forms.length > 0, withToken.length]).toEqual([path, true, forms.length]);
    }
    const [, token] = /name="_csrf" value="([^"]*)"/.exec((await visitor.page('/')).text) ?? [];
    const oldBrowser = { accept: 'text/html' };
    const statuses: number[] = [];
    for (const _csrf of ['', token]) {
      const body = new URLSearchParams({ sku: 'assam', qty: '1', _csrf });
      statuses.push((await visitor.browser.request('POST', '/cart', { headers: oldBrowser, body })).status);
    }
    expect(statuses).toEqual([403, 303]);
  });

  it('names two users on its login page', async () => {
    shop = await openShop(platform);
    expect((await shop.visitor().page('/login')).text).toMatch(/ada@example[^]*tea-for-two-please/);
  });

  it('has none of them in production', async () => {
    shop = await openShop(platform, { NODE_ENV: 'production' });
    const visitor = shop.visitor();
    expect((await visitor.page('/login')).text).not.toContain(ADA.email);
    expect((await visitor.logIn(ADA)).status).toBe(401);
  });
});
