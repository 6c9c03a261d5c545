import { openShop, platforms, type Shop, type Visitor } from './open-shop.js';

describe.each(platforms)('the shop on %s', (platform) => {
  let shop: Shop;
  let visitor: Visitor;

  beforeAll(async () => {
    shop = await openShop(platform);
  });
  afterAll(() => shop.close());
  beforeEach(() => {
    visitor = shop.visitor();
  });

  describe('the first page', () => {
    it('counts the visits of each visitor', async () => {
      expect((await visitor.json('/')).views).toBe(1);
      expect((await visitor.json('/')).views).toBe(2);
      expect((await shop.visitor().json('/')).views).toBe(1);
    });

    it('counts visits at the same moment one by one', async () => {
      await visitor.page('/');
      await Promise.all(Array.from({ length: 10 }, () => visitor.page('/')));
      expect((await visitor.json('/')).views).toBe(12);
    });

    it('is a page for browsers and JSON for programs, and says that it depends on both', async () => {
      const page = await visitor.page('/');
      expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(page.headers.get('vary')?.split(/,\s*/).sort()).toEqual(['Accept', 'Cookie']);
      expect(page.text).toContain('your <strong>1st</strong> look');

      const json = await visitor.call('GET', '/');
      expect(json.headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(json.json()).toMatchObject({ views: 2, theme: 'auto', cartCount: 0 });
    });

    it('sends a cookie with the first answer, and none with those after it', async () => {
      expect((await visitor.page('/')).setCookies).toHaveLength(1);
      expect((await visitor.page('/')).setCookies).toHaveLength(0);
    });

    it('allows nothing inline, and has nothing inline', async () => {
      const { headers, text } = await visitor.page('/');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(text).not.toMatch(/<style|\sstyle=|\son\w+=|<script>/);
    });
  });

  describe('the theme', () => {
    it('is chosen by a form, and is on every page from then on', async () => {
      const answer = await visitor.submit('/preferences', { theme: 'dark' });
      expect([answer.status, answer.headers.get('location')]).toEqual([303, '/']);
      for (const path of ['/', '/cart', '/session', '/nowhere']) {
        expect((await visitor.page(path)).text).toContain('data-theme="dark"');
      }
    });

    it('is chosen by JSON too', async () => {
      const answer = await visitor.call('POST', '/preferences', { theme: 'light' });
      expect(answer.status).toBe(200);
      expect(answer.json()).toMatchObject({ theme: 'light' });
      expect((await visitor.json('/')).theme).toBe('light');
    });

    it.each([{ theme: 'pink' }, { theme: { toString: 1 } }, {}])('refuses %j', async (body) => {
      const answer = await visitor.call('POST', '/preferences', body);
      expect(answer.status).toBe(400);
      expect(answer.json().message).toBe('Please choose a theme: auto, light, dark.');
      expect((await visitor.json('/')).theme).toBe('auto');
    });

    it.each([
      ['/cart', '/cart'],
      ['/session', '/session'],
      ['//elsewhere.example', '/'],
    ])('leads back from %s to %s', async (page, location) => {
      const answer = await visitor.submit('/preferences', { theme: 'dark' }, page);
      expect(answer.headers.get('location')).toBe(location);
    });
  });

  describe('the cart', () => {
    it('takes teas from the form of the first page, and gives them back', async () => {
      expect((await visitor.page('/cart')).text).toContain('An empty cup');
      const added = await visitor.submit('/cart', { sku: 'assam', qty: '2' });
      expect([added.status, added.headers.get('location')]).toEqual([303, '/']);
      expect((await visitor.page('/cart')).text).toMatch(/Assam[^]*2 × €8.90[^]*€17.80/);

      const removed = await visitor.submit('/cart/assam/remove');
      expect([removed.status, removed.headers.get('location')]).toEqual([303, '/cart']);
      expect((await visitor.page('/cart')).text).toContain('An empty cup');
    });

    it('does the same by JSON', async () => {
      await visitor.call('POST', '/cart', { sku: 'assam', qty: 2 });
      const added = await visitor.call('POST', '/cart', { sku: 'sencha' });
      expect(added.status).toBe(200);
      expect(added.json()).toMatchObject({
        lines: [
          { sku: 'sencha', qty: 1, total: 1150 },
          { sku: 'assam', qty: 2, total: 1780 },
        ],
        count: 3,
        total: 2930,
      });
      expect((await visitor.json('/')).cartCount).toBe(3);

      const removed = await visitor.call('DELETE', '/cart/assam');
      expect(removed.json()).toMatchObject({ lines: [{ sku: 'sencha' }], count: 1 });
      expect(await visitor.json('/cart')).toMatchObject({ count: 1, total: 1150 });
    });

    it('keeps what is added in two tabs at once', async () => {
      await visitor.page('/');
      const skus = ['sencha', 'darjeeling', 'assam', 'oolong', 'rooibos', 'hibiscus'];
      await Promise.all(skus.map((sku) => visitor.submit('/cart', { sku, qty: '1' })));
      expect((await visitor.json('/cart')).count).toBe(6);
    });

    it('holds 99 of a tea, and says so', async () => {
      await visitor.call('POST', '/cart', { sku: 'oolong', qty: 60 });
      const answer = (await visitor.call('POST', '/cart', { sku: 'oolong', qty: 60 })).json();
      expect(answer).toMatchObject({
        count: 99,
        notices: ['99 × Dong Ding: that is the most we sell.'],
      });
    });

    it.each([0, 100, -1, 1.5, '1e1', 'two', '', null, [1], { qty: 1 }])(
      'refuses a quantity of %j',
      async (qty) => {
        const answer = await visitor.call('POST', '/cart', { sku: 'assam', qty });
        expect(answer.status).toBe(400);
        expect((await visitor.json('/cart')).count).toBe(0);
      },
    );

    it.each(['coffee', '__proto__', '<b>'])('does not know %s', async (sku) => {
      for (const answer of [
        await visitor.call('POST', '/cart', { sku, qty: 1 }),
        await visitor.call('DELETE', `/cart/${encodeURIComponent(sku)}`),
      ]) {
        expect(answer.status).toBe(404);
        expect(answer.json()).toEqual({ statusCode: 404, message: 'We do not have that tea.' });
      }
    });

    it('gives nobody a session for looking at it', async () => {
      expect((await visitor.page('/cart')).setCookies).toEqual([]);
    });
  });

  describe('a notice', () => {
    it('is shown by the next page, once', async () => {
      await visitor.submit('/cart', { sku: 'hibiscus', qty: '1' });
      expect((await visitor.page('/')).text).toContain('<p>Rosehip &amp; hibiscus is in your cart.</p>');
      expect((await visitor.page('/')).text).not.toContain('is in your cart.</p>');
    });

    it('is shown with those that came before it, in order', async () => {
      await visitor.submit('/cart', { sku: 'assam', qty: '1' });
      await visitor.submit('/cart', { sku: 'hibiscus', qty: '1' });
      expect((await visitor.page('/')).text).toContain(
        '<p>Assam is in your cart.</p><p>Rosehip &amp; hibiscus is in your cart.</p>',
      );
    });

    it('is not taken by an error page', async () => {
      await visitor.submit('/cart', { sku: 'assam', qty: '1' });
      await visitor.page('/nowhere');
      expect((await visitor.page('/cart')).text).toContain('Assam is in your cart.');
    });

    it('is part of the answer where programs ask', async () => {
      const answer = await visitor.call('POST', '/cart', { sku: 'assam', qty: 1 });
      expect(answer.json().notices).toEqual(['Assam is in your cart.']);
      expect((await visitor.json('/cart')).notices).toEqual([]);
    });
  });

  describe('the inspector', () => {
    it('shows all but the id', async () => {
      await visitor.submit('/cart', { sku: 'assam', qty: '1' });
      const json = await visitor.call('GET', '/session');
      const page = await visitor.page('/session');
      const cookie = (await visitor.browser.cookie('sessionid')) ?? '';
      const [id, signature] = cookie.split('.');
      expect(id).toMatch(/^[\w-]{43}$/);
      for (const { text } of [json, page]) {
        expect(text).not.toContain(id);
        expect(text).not.toContain(signature);
      }
      expect(json.json()).toMatchObject({
        handle: expect.stringMatching(/^\w+$/),
        isNew: false,
        isConfirmed: true,
        values: [{ key: 'cart', bytes: '{"assam":1}'.length }],
      });
      expect(page.text).toContain(json.json<{ handle: string }>().handle);
    });

    it('counts down to both deadlines', async () => {
      await visitor.page('/');
      const { createdAt, expiresAt, endsAt } = await visitor.json('/session');
      expect(Date.parse(endsAt) - Date.parse(createdAt)).toBe(30 * 24 * 3600_000);
      const { text } = await visitor.page('/session');
      expect(text).toContain(`data-until="${expiresAt}"`);
      expect(text).toContain(`data-until="${endsAt}"`);
      expect(text).toContain('<script src="/assets/countdown.js" defer>');
    });

    it('knows nothing of somebody new, and asks nothing of them', async () => {
      const page = await visitor.page('/session');
      expect(page.text).toContain('We know nothing about you.');
      expect(page.setCookies).toEqual([]);
    });

    it('gives a new id to the same data', async () => {
      await visitor.page('/');
      const { handle } = await visitor.json('/session');
      const before = await visitor.browser.cookie('sessionid');
      await visitor.submit('/session/renew');
      expect(await visitor.browser.cookie('sessionid')).not.toBe(before);
      expect((await visitor.json('/session')).handle).toBe(handle);
      expect((await visitor.json('/')).views).toBe(2);
    });

    it('forgets who wants to be forgotten', async () => {
      await visitor.page('/');
      expect((await visitor.submit('/session/forget')).status).toBe(303);
      expect(await visitor.browser.cookie('sessionid')).toBeUndefined();
      expect((await visitor.json('/')).views).toBe(1);
    });
  });

  describe('errors', () => {
    it('are pages for browsers', async () => {
      for (const [answer, status, text] of [
        [await visitor.page('/nowhere'), 404, 'Nothing brewing here'],
        [await visitor.submit('/cart', { sku: 'coffee', qty: '1' }), 404, 'We do not have that tea.'],
        [await visitor.submit('/cart', { sku: 'assam', qty: '0' }), 400, 'Please choose a quantity'],
      ] as const) {
        expect(answer.status).toBe(status);
        expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
        expect(answer.text).toContain(text);
      }
    });

    it('are JSON for programs', async () => {
      const answer = await visitor.call('GET', '/nowhere');
      expect(answer.status).toBe(404);
      expect(answer.json()).toMatchObject({ statusCode: 404 });
    });

    it('tell nobody what broke a request', async () => {
      const headers = { 'content-type': 'application/json', accept: 'text/html' };
      const answer = await visitor.browser.request('POST', '/cart', { headers, body: '{"sku":' });
      expect(answer.status).toBe(400);
      expect(answer.text).toContain('That did not work');
      expect(answer.text).not.toContain('JSON');
    });
  });

  describe('what asks for no session', () => {
    it.each(['/health', '/assets/shop.css', '/assets/countdown.js', '/assets/leaf.svg'])(
      '%s gets none',
      async (path) => {
        const { status, headers, setCookies, text } = await visitor.browser.get(path);
        expect([status, headers.get('vary'), setCookies]).toEqual([200, null, []]);
        expect(text.length).toBeGreaterThan(0);
      },
    );

    it('is healthy', async () => {
      expect(await visitor.json('/health')).toEqual({ status: 'ok', store: 'memory' });
    });

    it('serves three files and no others', async () => {
      for (const name of ['..%2fviews%2fhome.ejs', '..%2f..%2fpackage.json', 'home.ejs']) {
        expect((await visitor.page(`/assets/${name}`)).status).toBe(404);
      }
    });
  });
});
