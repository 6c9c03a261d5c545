import { SessionClock } from 'nest-session';
import { FakeClock } from 'nest-session/testing';
import { TOTP } from 'otpauth';
import { ADA, GRACE, leadsTo, openShop, platforms, type Shop, type Visitor } from './open-shop.js';

interface Device {
  handle: string;
  isCurrent: boolean;
  methods: string[];
  meta: { ip: string; userAgent: string };
}

describe.each(platforms)('the account on %s', (platform) => {
  let shop: Shop;
  let clock: FakeClock;

  beforeEach(async () => {
    clock = new FakeClock();
    shop = await openShop(platform, {}, (builder) => builder.overrideProvider(SessionClock).useValue(clock));
  });
  afterEach(() => shop.close());

  /** Ada, on as many devices as there are names taken. */
  async function ada(): Promise<Visitor> {
    const visitor = shop.visitor();
    await visitor.logIn(ADA);
    return visitor;
  }

  const devicesOf = async (visitor: Visitor) => (await visitor.json('/account/devices')).devices as Device[];

  describe('devices', () => {
    it('are listed, this one marked, with where they come from and without an id', async () => {
      const [here] = [await ada(), await ada()];
      await (await ada()).submit('/logout');
      const list = await here.call('GET', '/account/devices');
      const { devices } = list.json<{ devices: Device[] }>();
      expect(devices.map(({ isCurrent }) => isCurrent).sort()).toEqual([false, true]);
      for (const { methods, meta } of devices)
        expect([methods, meta]).toEqual([['pwd'], { ip: '127.0.0.1', userAgent: 'node' }]);

      const page = await here.page('/account/devices');
      expect(page.text.match(/this device/g)).toHaveLength(1);
      expect(page.text.match(/logged in from 127\.0\.0\.1/g)).toHaveLength(2);
      const id = String(await here.browser.cookie('sessionid')).split('.')[0];
      expect(list.text + page.text).not.toContain(id);
    });

    it('are logged out one by one', async () => {
      const [here, there] = [await ada(), await ada()];
      const other = (await devicesOf(here)).find(({ isCurrent }) => !isCurrent)?.handle ?? '';
      const answer = await here.submit(`/account/devices/${other}/revoke`, {}, '/account/devices');
      expect(leadsTo(answer)).toBe('/account/devices');
      expect((await there.call('GET', '/account')).json().code).toBe('SESSION_EXPIRED');
      expect(await there.name()).toBeUndefined();
      expect(await devicesOf(here)).toMatchObject([{ isCurrent: true }]);
      expect((await here.call('DELETE', `/account/devices/${other}`)).status).toBe(404);
    });

    it('of others are nobody’s business', async () => {
      const [here, grace] = [await ada(), shop.visitor()];
      await grace.logIn(GRACE);
      const [{ handle }] = await devicesOf(here);
      const answer = await grace.call('DELETE', `/account/devices/${handle}`);
      expect([answer.status, answer.json().code]).toEqual([404, 'SESSION_NOT_FOUND']);
      expect(await here.name()).toBe('Ada');
    });

    it('have a logout of their own, so that this one is not revoked', async () => {
      const here = await ada();
      const [{ handle }] = await devicesOf(here);
      expect((await here.call('DELETE', `/account/devices/${handle}`)).status).toBe(400);
      expect(await here.name()).toBe('Ada');
    });

    it('are logged out all at once but this one', async () => {
      const [here, there, elsewhere] = [await ada(), await ada(), await ada()];
      expect((await here.call('POST', '/account/devices/revoke-others')).json()).toMatchObject({
        ended: 2,
        notices: ['Good to have you back, Ada.', 'You are logged in here, and nowhere else.'],
      });
      expect([await here.name(), await there.name(), await elsewhere.name()]).toEqual([
        'Ada',
        undefined,
        undefined,
      ]);
      expect((await here.page('/account/devices')).text).not.toContain('everywhere else');
    });

    it('are twenty at most: one more ends the oldest', async () => {
      const first = await ada();
      clock.advance('1m');
      for (let count = 0; count < 19; count++) await ada();
      expect(await devicesOf(first)).toHaveLength(20);
      const last = await ada();
      expect(await first.name()).toBeUndefined();
      expect(await devicesOf(last)).toHaveLength(20);
    });
  });

  describe('the password', () => {
    const NEW = { ...ADA, password: 'coffee-after-all' };

    it('changes, and ends all other devices', async () => {
      const [here, there] = [await ada(), await ada()];
      const answer = await here.submit('/account/password', { password: NEW.password }, '/account/password');
      expect(leadsTo(answer)).toBe('/account');
      expect((await here.page('/account')).text).toContain('Your password is changed');
      expect([await here.name(), await there.name()]).toEqual(['Ada', undefined]);
      expect((await shop.visitor().logIn(ADA)).status).toBe(401);
      expect(leadsTo(await shop.visitor().logIn(NEW))).toBe('/account');
    });

    it('shows the form again for one that is too short', async () => {
      const here = await ada();
      const answer = await here.submit('/account/password', { password: 'short' }, '/account/password');
      expect([answer.status, answer.text.includes('12 to 128 characters')]).toEqual([400, true]);
      expect(leadsTo(await shop.visitor().logIn(ADA))).toBe('/account');
    });

    it('asks for a recent login, and leads back after it', async () => {
      const here = await ada();
      clock.advance('11m');
      const page = await here.page('/account/password');
      expect(leadsTo(page)).toBe('/login/confirm?next=%2Faccount%2Fpassword&reason=confirm');
      const refused = await here.call('POST', '/account/password', { password: NEW.password });
      expect([refused.status, refused.json().code]).toEqual([403, 'REAUTHENTICATION_REQUIRED']);
      const form = await here.submit('/account/password', { password: NEW.password }, '/account/password');
      expect(leadsTo(form)).toBe('/account/password');

      const next = { next: '/account/password' };
      const wrong = await here.submit('/login/confirm', { password: 'wrong', ...next }, '/login/confirm');
      expect([wrong.status, wrong.text.includes('That is not your password.')]).toEqual([401, true]);
      expect(leadsTo(await here.page('/account/password'))).toContain('/login/confirm');

      const before = await here.browser.cookie('sessionid');
      const right = await here.submit(
        '/login/confirm',
        { password: ADA.password, ...next },
        '/login/confirm',
      );
      expect(leadsTo(right)).toBe('/account/password');
      expect(await here.browser.cookie('sessionid')).not.toBe(before);
      expect((await here.page('/account/password')).status).toBe(200);
    });
  });

  describe('the second step', () => {
    const codeOf = (secret: string) => new TOTP({ secret }).generate({ timestamp: clock.now() });
    const wrongOf = (secret: string) => String((Number(codeOf(secret)) + 1) % 1_000_000).padStart(6, '0');

    async function switchedOn(): Promise<{ here: Visitor; secret: string }> {
      const here = await ada();
      const { secret } = await here.json('/account/second-factor');
      const code = codeOf(secret as string);
      expect(leadsTo(await here.submit('/account/second-factor', { code }))).toBe('/account');
      clock.advance('1m'); // that code is used up
      return { here, secret: secret as string };
    }

    it('is offered as a key and as a link, the same ones until it is on', async () => {
      const here = await ada();
      const { secret, link } = await here.json('/account/second-factor');
      expect(link).toMatch(/^otpauth:\/\/totp\/Leaf%20%26%20Kettle:ada%40example.com\?/);
      const { text } = await here.page('/account/second-factor');
      expect(text).toContain(String(secret).match(/.{4}/g)?.join(' '));
      expect(text).toContain(`href="${String(link).replaceAll('&', '&amp;')}"`);
    });

    it('is on when a code has come back, and ends the logins without one', async () => {
      const there = await ada();
      const { here } = await switchedOn();
      expect([await here.name(), await there.name()]).toEqual(['Ada', undefined]);
      expect(await here.json('/account')).toMatchObject({ hasSecondFactor: true });
      expect((await here.page('/account/second-factor')).text).toContain('It is on');
      expect((await here.json('/session')).values).not.toContainEqual(
        expect.objectContaining({ key: 'newTotpSecret' }),
      );
    });

    it('stays off after a wrong code', async () => {
      const here = await ada();
      const { secret } = await here.json('/account/second-factor');
      const answer = await here.submit('/account/second-factor', { code: wrongOf(secret as string) });
      expect([answer.status, answer.text.includes('That code is not right')]).toEqual([400, true]);
      expect(leadsTo(await shop.visitor().logIn(ADA))).toBe('/account');
    });

    it('is asked for at the login, which counts from then on', async () => {
      const { secret } = await switchedOn();
      const visitor = shop.visitor();
      const first = await visitor.logIn(ADA, { remember: 'on', next: '/cart' });
      expect(leadsTo(first)).toBe('/login/code?next=%2Fcart');
      expect(await visitor.name()).toBeUndefined();
      expect(leadsTo(await visitor.page('/account'))).toBe(
        '/login/code?next=%2Faccount&reason=second-factor',
      );
      expect((await visitor.call('GET', '/account')).json().code).toBe('SECOND_FACTOR_REQUIRED');

      const wrong = await visitor.submit(
        '/login/code',
        { code: wrongOf(secret), next: '/cart' },
        '/login/code',
      );
      expect([wrong.status, wrong.text.includes('name="next" value="/cart"')]).toEqual([401, true]);
      const right = await visitor.submit(
        '/login/code',
        { code: codeOf(secret), next: '/cart' },
        '/login/code',
      );
      expect(leadsTo(right)).toBe('/cart');
      expect(right.setCookies).toEqual([expect.stringContaining('Max-Age')]); // remembered, as the first step said
      expect(await visitor.name()).toBe('Ada');
      const here = (await devicesOf(visitor)).find(({ isCurrent }) => isCurrent);
      expect(here?.methods).toEqual(['pwd', 'otp']);
    });

    it('takes each code once', async () => {
      const { secret } = await switchedOn();
      const visitors = [shop.visitor(), shop.visitor()];
      for (const visitor of visitors) await visitor.logIn(ADA);
      const code = codeOf(secret);
      const answers = await Promise.all(visitors.map((each) => each.submit('/login/code', { code })));
      expect(answers.map(({ status }) => status).sort()).toEqual([303, 401]);
    });

    it('waits for ten minutes, and then begins again', async () => {
      const { secret } = await switchedOn();
      const visitor = shop.visitor();
      await visitor.logIn(ADA);
      clock.advance('10m');
      const answer = await visitor.submit('/login/code', { code: codeOf(secret), next: '/cart' });
      expect(leadsTo(answer)).toBe('/login?next=%2Fcart&reason=too-late');
      expect((await visitor.page('/login?reason=too-late')).text).toContain('Please begin again.');
      expect((await visitor.call('POST', '/login/code', { code: codeOf(secret) })).status).toBe(401);
    });

    it('can be switched off again, by those who have just proved who they are', async () => {
      const { here, secret } = await switchedOn();
      clock.advance('11m');
      expect((await here.call('DELETE', '/account/second-factor')).status).toBe(403);
      await here.submit('/login/confirm', { password: ADA.password });
      const there = shop.visitor();
      await there.logIn(ADA);
      await there.submit('/login/code', { code: codeOf(secret) });
      expect(await there.name()).toBe('Ada');
      expect(leadsTo(await here.submit('/account/second-factor/remove'))).toBe('/account');
      expect([await here.name(), await there.name()]).toEqual(['Ada', undefined]);
      expect(leadsTo(await shop.visitor().logIn(ADA))).toBe('/account');
    });
  });
});
