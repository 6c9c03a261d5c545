import { Browser } from '../support/browser.js';
import { describeLaw, keyOfCookie, withUsers } from '../support/laws.js';
import { AppUsers, loggedIn, newPerson, People } from '../support/people.js';

const options = { controllers: [People], session: { auth: { users: AppUsers } } };

describeLaw('session fixation', options, (law) => {
  const plant = async (browser: Browser, cookie: string | undefined) =>
    void (await browser.jar.setCookie(`sessionid=${cookie}; Path=/`, browser.origin));
  const readWith = async (cookie: string | undefined, path = '/read') =>
    (await law.visitor().get(path, { cookie: `sessionid=${cookie}` })).json();

  it.each(['login', 'first-factor'])(
    'an id planted before the %s is worth nothing after it',
    async (path) => {
      const [attacker, victim, ada] = [law.visitor(), law.visitor(), newPerson()];
      await attacker.post('/fill');
      const planted = await attacker.cookie('sessionid');
      await plant(victim, planted);
      await victim.post(`/${path}?user=${ada.id}`);
      await victim.post('/fill?item=secret');
      for (const wait of ['0s', '31s']) {
        law.app.clock.advance(wait);
        expect(await readWith(planted)).toEqual({ user: null, handle: null });
        expect(await readWith(planted, '/maybe')).toEqual({ id: null, name: null });
      }
      expect({ ...(await law.store.load(keyOfCookie(planted)))?.values }).toEqual({});
    },
  );

  it('an attacker who repeats the victim’s login with the planted id gets nothing of it', async () => {
    const [attacker, victim, ada, eve] = [law.visitor(), law.visitor(), newPerson(), newPerson('Eve')];
    await attacker.post('/fill');
    await plant(victim, await attacker.cookie('sessionid'));
    await loggedIn(victim, ada);
    await victim.post('/fill?item=secret');
    await loggedIn(attacker, eve); // within the grace time of the old id
    expect(JSON.stringify((await attacker.get('/read')).json())).not.toMatch(/secret/);
    expect((await attacker.get('/me')).json().id).toBe(eve.id);
  });

  it('a victim to whom the attacker’s own session is tossed logs in to one of their own', async () => {
    const [attacker, victim, ada, eve] = [law.visitor(), law.visitor(), newPerson(), newPerson('Eve')];
    await loggedIn(attacker, eve);
    await attacker.post('/fill?item=bait');
    const tossed = await attacker.cookie('sessionid');
    await plant(victim, tossed);
    await loggedIn(victim, ada);
    await victim.post('/fill?item=secret');
    expect((await victim.get('/read')).json()).toMatchObject({ cart: ['secret'], user: ada.id });
    // The attacker's session has ended: it is not the victim's, nor does it see what the victim does.
    expect((await attacker.get('/me')).json().code).toBe('SESSION_EXPIRED');
    expect(await readWith(tossed)).toEqual({ user: null, handle: null });
  });

  it('a victim with a cookie of their own and a tossed one is logged in as nobody, and can log in', async () => {
    const [attacker, victim, ada, eve] = [law.visitor(), law.visitor(), newPerson(), newPerson('Eve')];
    await loggedIn(attacker, eve);
    await loggedIn(victim, ada);
    const [own, tossed] = [await victim.cookie('sessionid'), await attacker.cookie('sessionid')];
    const both = { cookie: `sessionid=${tossed}; sessionid=${own}` };
    expect((await victim.get('/me', both)).json().code).toBe('NOT_AUTHENTICATED');
    const login = await victim.post(`/login?user=${ada.id}`, both);
    expect([login.status, login.setCookies.length]).toEqual([201, 1]);
    expect((await victim.get('/me')).json().id).toBe(ada.id);
    // The browser goes on sending the tossed one, which is dead by now.
    const next = { cookie: `sessionid=${tossed}; sessionid=${await victim.cookie('sessionid')}` };
    expect((await victim.get('/me', next)).json().id).toBe(ada.id);
    expect(await readWith(own)).toEqual({ user: null, handle: null });
    expect((await attacker.get('/me')).json().code).toBe('SESSION_EXPIRED');
  });

  it('a login in that state that ends in a server error ends neither of them', async () => {
    const [one, two] = [
      await loggedIn(law.visitor(), newPerson()),
      await loggedIn(law.visitor(), newPerson()),
    ];
    const both = `sessionid=${await one.cookie('sessionid')}; sessionid=${await two.cookie('sessionid')}`;
    const failed = await law.visitor().post(`/login-then-500?user=${newPerson().id}`, { cookie: both });
    expect([failed.status, failed.setCookies]).toEqual([500, []]);
    for (const browser of [one, two]) expect((await browser.get('/me')).status).toBe(200);
  });

  it('a logout with several living cookies ends every one of their sessions', async () => {
    const [one, two] = [
      await loggedIn(law.visitor(), newPerson()),
      await loggedIn(law.visitor(), newPerson()),
    ];
    const both = `sessionid=${await one.cookie('sessionid')}; sessionid=${await two.cookie('sessionid')}`;
    const logout = await law.visitor().post('/logout', { cookie: both });
    expect([logout.status, logout.setCookies.length]).toEqual([201, 1]);
    for (const browser of [one, two]) expect((await browser.get('/me')).json().code).toBe('SESSION_EXPIRED');
  });

  it('an id or a handle in the URL selects nothing', async () => {
    const ada = await loggedIn(law.visitor(), newPerson());
    const cookie = await ada.cookie('sessionid');
    const { handle } = (await ada.get('/read')).json();
    for (const query of [`sessionid=${cookie}`, `handle=${String(handle)}`])
      expect((await law.visitor().get(`/maybe?${query}`)).json()).toEqual({ id: null, name: null });
  });
});

/** Two cookies of one name in one jar: the browser had one for the host, and gets one for the domain. */
describeLaw('a change of the cookie’s domain', { ...options, on: withUsers }, (law) => {
  const moved = () =>
    law.another({ session: { ...options.session, cookie: { name: 'sessionid', domain: '127.0.0.1' } } });

  it('logs nobody out: the old cookie goes on, and the next login moves the jar to the new one', async () => {
    const ada = newPerson();
    const browser = await loggedIn(law.visitor(), ada);
    const old = await browser.cookie('sessionid');
    const app = await moved();
    const there = new Browser(app.url);
    const withOld = { cookie: `sessionid=${old}` };
    expect((await there.get('/me', withOld)).status).toBe(200);
    const confirmed = await there.post('/confirm', withOld);
    expect(confirmed.setCookies).toEqual([expect.stringContaining('Domain=127.0.0.1')]);
    const fresh = confirmed.setCookies[0].split(';')[0];
    // The jar keeps the old one beside it, in either order: the living one is believed.
    for (const cookie of [`sessionid=${old}; ${fresh}`, `${fresh}; sessionid=${old}`]) {
      expect((await there.get('/me', { cookie })).json()).toMatchObject({ id: ada.id });
      expect((await there.post('/me/rename', { cookie })).setCookies).toEqual([]);
    }
    law.app.clock.advance('31s');
    expect((await there.get('/me', { cookie: `sessionid=${old}; ${fresh}` })).status).toBe(200);
  });

  it('locks nobody out who has two living ones: the login ends both, and the new one counts', async () => {
    const ada = newPerson();
    const app = await moved();
    const [host, domain] = [await loggedIn(law.visitor(), ada), new Browser(app.url)];
    const first = await domain.post(`/login?user=${ada.id}`);
    const old = `sessionid=${await host.cookie('sessionid')}`;
    const both = { cookie: `${old}; ${first.setCookies[0].split(';')[0]}` };
    expect((await domain.get('/me', both)).status).toBe(401);
    const login = await domain.post(`/login?user=${ada.id}`, both);
    expect(await law.store.findByUser(ada.id)).toHaveLength(1);
    const cookie = `${old}; ${login.setCookies[0].split(';')[0]}`;
    expect((await domain.get('/me', { cookie })).status).toBe(200);
    expect((await domain.post('/logout', { cookie })).status).toBe(201);
    expect((await domain.get('/me', { cookie })).json().code).toBe('SESSION_EXPIRED');
  });
});
