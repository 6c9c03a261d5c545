import { describeLaw, keyOfCookie, withUsers } from '../support/laws.js';
import { AppUsers, loggedIn, newPerson, People } from '../support/people.js';

const options = { controllers: [People], session: { auth: { users: AppUsers, rememberFor: '90d' } } };

describeLaw('second factor and confirmation', { ...options, on: withUsers }, (law) => {
  it('logs nobody in until the second factor is there: no user, nowhere', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await visitor.post('/fill');
    const before = await visitor.cookie('sessionid');
    const first = await visitor.post(`/first-factor?user=${ada.id}`);
    expect([first.json(), first.setCookies.length]).toEqual([{ user: null }, 1]);
    const pending = await visitor.cookie('sessionid');
    expect(pending).not.toBe(before); // the session is worth more now
    expect((await visitor.get('/read')).json()).toMatchObject({ cart: ['tea'], user: null });
    expect((await visitor.get('/maybe')).json()).toEqual({ id: null, name: null });
    expect((await visitor.get('/me')).json().code).toBe('SECOND_FACTOR_REQUIRED');
    expect((await law.store.load(keyOfCookie(pending)))?.userId).toBeUndefined();
    expect(await law.store.findByUser(ada.id)).toEqual([]);
    const second = await visitor.post('/second-factor');
    expect([second.json(), second.setCookies.length]).toEqual([{ user: ada.id }, 1]);
    expect(await visitor.cookie('sessionid')).not.toBe(pending);
    expect((await visitor.get('/read')).json()).toMatchObject({ cart: ['tea'], user: ada.id });
    expect((await visitor.get('/devices')).json()).toMatchObject([{ methods: ['pwd', 'otp'] }]);
  });

  it('remembers across both steps what the form of the first one asked for', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    const first = await visitor.post(`/first-factor?user=${ada.id}&remember=yes`);
    expect(first.setCookies).toEqual([expect.stringContaining('Max-Age=2592000')]);
    const second = await visitor.post('/second-factor');
    expect(second.setCookies).toEqual([expect.stringContaining(`Max-Age=${90 * 86_400}`)]);
  });

  it('waits for ten minutes, and no longer', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await visitor.post(`/first-factor?user=${ada.id}`);
    law.app.clock.advance('10m');
    expect((await visitor.post('/second-factor')).json()).toEqual({ user: null });
    expect((await visitor.get('/me')).json().code).toBe('NOT_AUTHENTICATED');
  });

  it('is over when the password changes meanwhile', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await visitor.post(`/first-factor?user=${ada.id}`);
    ada.passwordHash = 'another';
    expect((await visitor.post('/second-factor')).json()).toEqual({ user: null });
  });

  it('a first factor logs out who was logged in: the data of the same user stays, that of another does not', async () => {
    const [visitor, ada, bob] = [law.visitor(), newPerson(), newPerson('Bob')];
    await loggedIn(visitor, ada);
    await visitor.post('/fill');
    await visitor.post(`/first-factor?user=${ada.id}`);
    expect((await visitor.get('/me')).json().code).toBe('SECOND_FACTOR_REQUIRED');
    expect((await visitor.get('/read')).json()).toMatchObject({ cart: ['tea'], user: null });
    await visitor.post(`/first-factor?user=${bob.id}`);
    expect((await visitor.get('/read')).json()).toEqual({ user: null, handle: expect.any(String) });
  });

  it('a login of somebody else takes nothing from one that waits', async () => {
    const [visitor, ada, bob] = [law.visitor(), newPerson(), newPerson('Bob')];
    await visitor.post(`/first-factor?user=${ada.id}`);
    await visitor.post('/fill');
    await loggedIn(visitor, bob);
    expect((await visitor.get('/read')).json()).toEqual({ user: bob.id, handle: expect.any(String) });
  });

  it('a first factor that is sent twice at once is no error', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await visitor.post('/fill');
    const answers = await Promise.all(['', ''].map(() => visitor.post(`/first-factor?user=${ada.id}`)));
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect((await visitor.post('/second-factor')).json()).toEqual({ user: ada.id });
  });

  it('a confirmation renews the id, the time of the proof and both deadlines, and keeps the data', async () => {
    const [visitor, ada] = [law.visitor(), newPerson()];
    await loggedIn(visitor, ada);
    await visitor.post('/fill');
    const before = await visitor.cookie('sessionid');
    law.app.clock.advance('12d');
    const answer = await visitor.post('/confirm');
    expect(answer.setCookies).toEqual([expect.stringContaining('Max-Age=2592000')]);
    const after = await visitor.cookie('sessionid');
    expect(after).not.toBe(before);
    const record = await law.store.load(keyOfCookie(after));
    const now = law.app.clock.now();
    expect([Number(record?.expiresAt) - now, Number(record?.absoluteExpiresAt) - now]).toEqual([
      14 * 86_400_000,
      30 * 86_400_000,
    ]);
    expect(JSON.parse(String(record?.values['_nest.auth']))).toMatchObject({ at: now });
    expect((await visitor.get('/read')).json()).toMatchObject({ cart: ['tea'], user: ada.id });
  });

  it('nothing is confirmed where nobody is logged in', async () => {
    expect((await law.visitor().post('/confirm')).json().code).toBe('NOT_AUTHENTICATED');
    const [visitor, ada] = [law.visitor(), newPerson()];
    await loggedIn(visitor, ada);
    ada.isDisabled = true;
    expect((await visitor.post('/confirm')).json().code).toBe('SESSION_EXPIRED');
  });
});
