import { SECRET } from '../support/http-app.js';
import { Browser } from '../support/browser.js';
import { describeLaw, keyOfCookie, withUsers } from '../support/laws.js';
import { AppUsers, loggedIn, newPerson, People } from '../support/people.js';

const options = { controllers: [People], session: { auth: { users: AppUsers, meta: true } } };

describeLaw('the sessions of a user', { ...options, on: withUsers }, (law) => {
  it('are listed, last seen first, with what the login came from', async () => {
    const ada = newPerson();
    const [phone, laptop] = [law.visitor(), law.visitor()];
    await phone.post(`/login?user=${ada.id}`, { 'user-agent': 'Phone'.repeat(200) });
    const start = law.app.clock.now();
    law.app.clock.advance('1h');
    await laptop.post(`/login?user=${ada.id}`, { 'user-agent': 'Laptop' });
    law.app.clock.advance('1h');
    const devices = (await phone.get('/devices')).json<Record<string, unknown>[]>();
    expect(devices).toEqual([
      {
        handle: (await laptop.get('/read')).json().handle,
        createdAt: new Date(start + 3_600_000).toISOString(),
        lastSeenAt: new Date(start + 3_600_000).toISOString(),
        authenticatedAt: new Date(start + 3_600_000).toISOString(),
        isCurrent: false,
        methods: [],
        meta: { ip: '127.0.0.1', userAgent: 'Laptop' },
      },
      expect.objectContaining({
        isCurrent: true,
        authenticatedAt: new Date(start).toISOString(),
        meta: { ip: '127.0.0.1', userAgent: 'Phone'.repeat(100) },
      }),
    ]);
    expect(Object.keys(devices[0])).not.toContain('key');
  });

  it('keep no address and no browser unless asked to', async () => {
    const app = await law.another({ session: { auth: { users: AppUsers } } });
    const visitor = await loggedIn(new Browser(app.url), newPerson());
    const [device] = (await visitor.get('/devices')).json<Record<string, unknown>[]>();
    expect(device.meta).toBeUndefined();
    const record = await law.store.load(keyOfCookie(await visitor.cookie('sessionid')));
    expect(JSON.stringify(record)).not.toMatch(/127\.0\.0\.1|node/);
  });

  it('are revoked one by one: out at the next request, on every node, and its cookie is left to lapse', async () => {
    const ada = newPerson();
    const [phone, laptop] = [await loggedIn(law.visitor(), ada), await loggedIn(law.visitor(), ada)];
    const node = await law.another({});
    const { handle } = (await phone.get('/read')).json();
    expect((await laptop.post(`/devices/one/${String(handle)}/revoke`)).status).toBe(201);
    const cookie = { cookie: `sessionid=${await phone.cookie('sessionid')}` };
    const elsewhere = await new Browser(node.url).get('/me', cookie);
    expect([elsewhere.status, elsewhere.json().code, elsewhere.setCookies]).toEqual([
      401,
      'SESSION_EXPIRED',
      [],
    ]);
    expect((await phone.get('/me')).json().code).toBe('SESSION_EXPIRED');
    expect((await laptop.get('/me')).status).toBe(200);
  });

  it('are nobody else’s to revoke: a handle of another user is a 404, as one that never was', async () => {
    const [ada, bob] = [
      await loggedIn(law.visitor(), newPerson()),
      await loggedIn(law.visitor(), newPerson('Bob')),
    ];
    const { handle } = (await bob.get('/read')).json();
    const refusals = await Promise.all(
      [String(handle), '0'.repeat(32)].map((each) => ada.post(`/devices/one/${each}/revoke`)),
    );
    for (const refusal of refusals)
      expect([refusal.status, refusal.json().code]).toEqual([404, 'SESSION_NOT_FOUND']);
    expect(refusals[0].text).toBe(refusals[1].text);
    expect((await bob.get('/me')).status).toBe(200);
  });

  it('end all but this one, or all', async () => {
    const ada = newPerson();
    const browsers = await Promise.all([1, 2, 3].map(() => loggedIn(law.visitor(), ada)));
    const statuses = async () =>
      Promise.all(browsers.map(async (browser) => (await browser.get('/me')).status));
    expect((await browsers[1].post('/devices/others/revoke')).json()).toEqual({ ended: 2 });
    expect(await statuses()).toEqual([401, 200, 401]);
    await loggedIn(browsers[0], ada);
    expect((await browsers[1].post('/devices/all/revoke')).json()).toMatchObject({ ended: 2 });
    expect(await statuses()).toEqual([401, 401, 401]);
    expect((await law.visitor().post('/devices/others/revoke')).status).toBe(401);
  });

  it('all others end with a new password; this one goes on under a new id', async () => {
    const ada = newPerson();
    const [here, there] = [await loggedIn(law.visitor(), ada), await loggedIn(law.visitor(), ada)];
    await here.post('/fill');
    const before = await here.cookie('sessionid');
    expect((await here.post('/password?to=another')).setCookies).toHaveLength(1);
    expect(await here.cookie('sessionid')).not.toBe(before);
    expect((await here.get('/read')).json()).toMatchObject({ cart: ['tea'], user: ada.id });
    expect((await here.get('/me')).status).toBe(200);
    expect((await law.store.findByUser(ada.id)).length).toBe(1);
    expect((await there.get('/me')).json().code).toBe('SESSION_EXPIRED');
  });

  it('hold under a new secret, and are stamped with it once, also where the page only reads', async () => {
    const visitor = await loggedIn(law.visitor(), newPerson());
    const cookie = { cookie: `sessionid=${await visitor.cookie('sessionid')}` };
    const key = keyOfCookie(await visitor.cookie('sessionid'));
    const secret = ['a new secret, of more than 32 characters', SECRET];
    const rotated = await law.another({ session: { ...options.session, secret } });
    const authOf = async () => (await law.store.load(key))?.values['_nest.auth'];
    const before = await authOf();
    expect((await new Browser(rotated.url).get('/me', cookie)).status).toBe(200);
    const after = await authOf();
    expect(after).not.toBe(before);
    expect((await new Browser(rotated.url).get('/me', cookie)).status).toBe(200);
    expect(await authOf()).toBe(after);
    const withoutOld = await law.another({ session: { ...options.session, secret: secret[0] } });
    const reissued = await new Browser(rotated.url).post('/fill', cookie);
    const fresh = { cookie: reissued.setCookies[0].split(';')[0] };
    expect((await new Browser(withoutOld.url).get('/me', fresh)).status).toBe(200);
  });
});
