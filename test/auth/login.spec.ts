import { SECRET } from '../support/http-app.js';
import { Browser } from '../support/browser.js';
import { describeLaw, keyOfCookie } from '../support/laws.js';
import { AppUsers, loggedIn, newPerson, People } from '../support/people.js';

const options = { controllers: [People], session: { auth: { users: AppUsers } } };

describeLaw('login and logout', options, (law) => {
  it('logs in under a new id, in one command, and the anonymous data stays', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await visitor.post('/fill');
    const before = await visitor.cookie('sessionid');
    const { handle } = (await visitor.get('/read')).json();
    law.forget();
    const answer = await visitor.post(`/login?user=${ada.id}`);
    expect(law.commands).toEqual(['load', 'rename']);
    expect([answer.status, answer.setCookies.length]).toEqual([201, 1]);
    const after = await visitor.cookie('sessionid');
    expect(after).not.toBe(before);
    const page = (await visitor.get('/read')).json();
    expect(page).toEqual({ cart: ['tea'], user: ada.id, handle: expect.any(String) });
    expect((await law.store.load(keyOfCookie(after)))?.handle).toBe(page.handle);
    expect(page.handle).toBe(handle);
  });

  it('logs a visitor in who has no session yet', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    law.forget();
    await visitor.post(`/login?user=${ada.id}`);
    expect(law.commands).toEqual(['create']);
    expect((await visitor.get('/me')).json()).toEqual({ id: ada.id, name: 'Ada' });
    const record = await law.store.load(keyOfCookie(await visitor.cookie('sessionid')));
    expect(record?.userId).toBe(ada.id);
  });

  it('the id from before opens nothing, now and later', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await visitor.post('/fill');
    const old = { cookie: `sessionid=${await visitor.cookie('sessionid')}` };
    await loggedIn(visitor, ada);
    expect((await law.visitor().get('/read', old)).json()).toEqual({ user: null, handle: null });
    expect((await law.visitor().get('/me', old)).status).toBe(409);
    law.app.clock.advance('31s');
    expect((await law.visitor().get('/read', old)).json()).toEqual({ user: null, handle: null });
    expect((await law.visitor().get('/me', old)).status).toBe(401);
  });

  it('gives a new id to the same user too, who keeps the data', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await loggedIn(visitor, ada);
    await visitor.post('/fill');
    const before = await visitor.cookie('sessionid');
    await loggedIn(visitor, ada);
    expect(await visitor.cookie('sessionid')).not.toBe(before);
    expect((await visitor.get('/read')).json()).toMatchObject({ cart: ['tea'], user: ada.id });
  });

  it('ends the session of another user first: nothing of it comes to the new one', async () => {
    const [visitor, ada, bob] = [law.visitor(), newPerson(), newPerson('Bob')];
    await loggedIn(visitor, ada);
    await visitor.post('/fill');
    const old = await visitor.cookie('sessionid');
    const { handle } = (await visitor.get('/read')).json();
    await loggedIn(visitor, bob);
    const page = (await visitor.get('/read')).json();
    expect(page).toEqual({ user: bob.id, handle: expect.not.stringMatching(String(handle)) });
    expect((await law.store.load(keyOfCookie(old)))?.gone).toBe('ended');
  });

  it('ends what was another user’s also when that one has logged out by clear()', async () => {
    const [visitor, ada, bob] = [law.visitor(), newPerson(), newPerson('Bob')];
    await loggedIn(visitor, ada);
    await visitor.post('/clear');
    expect((await visitor.get('/me')).status).toBe(401);
    await visitor.post('/fill');
    await loggedIn(visitor, bob);
    expect((await visitor.get('/read')).json()).toEqual({ user: bob.id, handle: expect.any(String) });
  });

  it('ends a session of the same user from before the password changed', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await loggedIn(visitor, ada);
    await visitor.post('/fill');
    ada.passwordHash = 'another';
    await loggedIn(visitor, ada);
    expect((await visitor.get('/read')).json()).toEqual({ user: ada.id, handle: expect.any(String) });
  });

  it('refuses a user who is not active', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    ada.isDisabled = true;
    const answer = await visitor.post(`/login?user=${ada.id}`);
    expect([answer.status, answer.json().code, answer.setCookies]).toEqual([401, 'NOT_AUTHENTICATED', []]);
  });

  it('a server error undoes a login, a client error keeps it', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await visitor.post('/fill');
    const before = await visitor.cookie('sessionid');
    const failed = await visitor.post(`/login-then-500?user=${ada.id}`);
    expect([failed.status, failed.setCookies]).toEqual([500, []]);
    expect(await visitor.cookie('sessionid')).toBe(before);
    expect((await visitor.get('/read')).json()).toMatchObject({ cart: ['tea'], user: null });
    expect((await visitor.post(`/login-then-400?user=${ada.id}`)).status).toBe(400);
    expect((await visitor.get('/read')).json()).toMatchObject({ cart: ['tea'], user: ada.id });
  });

  it('logs out at once, and clears the cookie with the attributes that it was set with', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    const login = await visitor.post(`/login?user=${ada.id}`);
    const cookie = await visitor.cookie('sessionid');
    const logout = await visitor.post('/logout');
    const attributes = (line: string) =>
      line.split('; ').filter((part) => !/^(sessionid|Max-Age)=/.test(part));
    expect(logout.setCookies.map(attributes)).toEqual(login.setCookies.map(attributes));
    expect(logout.setCookies).toEqual([expect.stringMatching(/^sessionid=; Max-Age=0;/)]);
    expect((await law.store.load(keyOfCookie(cookie)))?.gone).toBe('ended');
    expect((await visitor.get('/me')).json().code).toBe('NOT_AUTHENTICATED');
    const replay = await law.visitor().get('/me', { cookie: `sessionid=${cookie}` });
    expect([replay.status, replay.json().code]).toEqual([401, 'SESSION_EXPIRED']);
  });

  it('a logout stands in spite of a server error', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await loggedIn(visitor, ada);
    const cookie = await visitor.cookie('sessionid');
    const answer = await visitor.post('/logout-then-500');
    expect([answer.status, answer.setCookies.length]).toEqual([500, 1]);
    expect((await law.store.load(keyOfCookie(cookie)))?.gone).toBe('ended');
  });

  it('logs out with a dead cookie, and without any: no error', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await loggedIn(visitor, ada);
    const old = { cookie: `sessionid=${await visitor.cookie('sessionid')}` };
    await visitor.post('/logout');
    const again = await law.visitor().post('/logout', old);
    expect([again.status, again.setCookies]).toEqual([
      201,
      [expect.stringMatching(/^sessionid=; Max-Age=0/)],
    ]);
    law.app.clock.advance('1m');
    expect((await law.visitor().post('/logout', old)).status).toBe(201);
    const nobody = await law.visitor().post('/logout');
    expect([nobody.status, nobody.setCookies]).toEqual([201, []]);
  });

  it('logs in with a cookie whose session has ended, right after and later', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await loggedIn(visitor, ada);
    const old = { cookie: `sessionid=${await visitor.cookie('sessionid')}` };
    await visitor.post('/logout');
    for (const wait of ['0s', '31s']) {
      law.app.clock.advance(wait);
      const again = law.visitor();
      expect((await again.post(`/login?user=${ada.id}`, old)).status).toBe(201);
      expect((await again.get('/me')).status).toBe(200);
    }
  });

  it('clear() logs out: without the time of the login nobody is authenticated', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await loggedIn(visitor, ada);
    await visitor.post('/clear');
    expect((await visitor.get('/maybe')).json()).toEqual({ id: null, name: null });
    expect((await visitor.get('/read')).json()).toMatchObject({ user: null });
  });

  it.each([
    ['that nobody ticked', undefined, false],
    ['that was ticked', 'on', true],
    ['of a client that sends true', true, true],
    ['of a client that sends false', false, false],
    ['of a client that sends null', null, false],
    ['with a value of its own', 'Yes', true],
    ['with a text that says no', 'false', false],
    ['that sends nothing readable', { on: true }, false],
  ])('a box %s is taken as the form sends it', async (_, remember, isRemembered) => {
    for (const step of ['/login-by-form', '/first-factor-by-form']) {
      const visitor = law.visitor();
      const body = JSON.stringify({ user: newPerson().id, remember });
      const answer = await visitor.request('POST', step, {
        body,
        headers: { 'content-type': 'application/json' },
      });
      expect(answer.status).toBe(201);
      const last = step === '/login-by-form' ? answer : await visitor.post('/second-factor');
      expect(/Max-Age=/.test(last.setCookies[0])).toBe(isRemembered);
    }
  });

  it('remember: false ends with the browser, true outlives it, not named it is as the module says', async () => {
    const session = { auth: { users: AppUsers, rememberFor: '90d' }, cookie: { persistent: false } };
    const forgetful = await law.another({ session });
    const cookieOf = async (url: string, query: string) => {
      const answer = await new Browser(url).post(`/login?user=${newPerson().id}${query}`);
      return /Max-Age=(\d+)/.exec(answer.setCookies[0])?.[1];
    };
    expect(await cookieOf(law.app.url, '')).toBe('2592000');
    expect(await cookieOf(law.app.url, '&remember=no')).toBeUndefined();
    expect(await cookieOf(law.app.url, '&remember=yes')).toBe('2592000');
    expect(await cookieOf(forgetful.url, '')).toBeUndefined();
    expect(await cookieOf(forgetful.url, '&remember=no')).toBeUndefined();
    expect(await cookieOf(forgetful.url, '&remember=yes')).toBe(String(90 * 86_400));
  });

  it('rememberFor is a limit of its own: beyond the absolute timeout, and not beyond itself', async () => {
    const session = { auth: { users: AppUsers, rememberFor: '90d' }, idleTimeout: '20d' };
    const app = await law.another({ session });
    const [long, short] = [new Browser(app.url), new Browser(app.url)];
    await long.post(`/login?user=${newPerson().id}&remember=yes`);
    await short.post(`/login?user=${newPerson().id}&remember=no`);
    for (let day = 0; day < 85; day += 17) {
      app.clock.advance('17d');
      expect((await long.get('/me')).status).toBe(200);
      expect((await short.get('/me')).status).toBe(day === 0 ? 200 : 401);
    }
    app.clock.advance('6d');
    expect((await long.get('/me')).status).toBe(401);
  });

  it('a login begins both deadlines anew', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await visitor.post('/fill');
    law.app.clock.advance('13d');
    const answer = await visitor.post(`/login?user=${ada.id}`);
    expect(answer.setCookies).toEqual([expect.stringContaining('Max-Age=2592000')]);
    const record = await law.store.load(keyOfCookie(await visitor.cookie('sessionid')));
    const now = law.app.clock.now();
    expect([Number(record?.expiresAt) - now, Number(record?.absoluteExpiresAt) - now]).toEqual([
      14 * 86_400_000,
      30 * 86_400_000,
    ]);
  });

  it('keeps the auth hash as an HMAC, which is another one for each user and secret', async () => {
    const [ada, bob] = [newPerson(), newPerson()];
    ada.passwordHash = bob.passwordHash = 'the same password hash';
    const texts: string[] = [];
    const other = await law.another({ session: { ...options.session, secret: [`new ${SECRET}`, SECRET] } });
    for (const [url, person] of [
      [law.app.url, ada],
      [law.app.url, bob],
      [other.url, ada],
    ] as const) {
      const browser = await loggedIn(new Browser(url), person);
      const record = await law.store.load(keyOfCookie(await browser.cookie('sessionid')));
      const { hash } = JSON.parse(String(record?.values['_nest.auth'])) as { hash: string };
      expect(JSON.stringify(record)).not.toContain('the same password');
      expect(hash).toMatch(/^[\w-]{43}$/);
      texts.push(hash);
    }
    expect(new Set(texts).size).toBe(3);
  });
});
