import { Browser } from '../support/browser.js';
import { describeLaw, failing, gate, withUsers } from '../support/laws.js';
import { AppUsers, loggedIn, newPerson, People } from '../support/people.js';

const limited = (limit: number, onExceed: 'end-oldest' | 'refuse') => ({
  controllers: [People],
  session: { auth: { users: AppUsers, maxSessions: { limit, onExceed } } },
});

describeLaw('maxSessions that ends the oldest', { ...limited(1, 'end-oldest'), on: withUsers }, (law) => {
  it('a login ends the one before', async () => {
    const ada = newPerson();
    const first = await loggedIn(law.visitor(), ada);
    law.app.clock.advance('1s');
    const second = await loggedIn(law.visitor(), ada);
    expect((await first.get('/me')).json().code).toBe('SESSION_EXPIRED');
    expect((await second.get('/me')).status).toBe(200);
  });

  it('a login again in the same browser ends nothing', async () => {
    const ada = await loggedIn(law.visitor(), newPerson());
    await ada.post('/fill');
    await ada.post('/confirm');
    expect((await ada.get('/me')).status).toBe(200);
  });

  it('leaves exactly one of 20 parallel logins', async () => {
    const ada = newPerson();
    const browsers = Array.from({ length: 20 }, () => law.visitor());
    await Promise.all(browsers.map((browser) => loggedIn(browser, ada)));
    expect(await law.store.findByUser(ada.id)).toHaveLength(1);
    const answers = await Promise.all(browsers.map((browser) => browser.get('/me')));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('leaves exactly one of 20 parallel logins that begin with the same cookie', async () => {
    const [ada, visitor] = [newPerson(), law.visitor()];
    await visitor.post('/fill');
    const cookie = { cookie: `sessionid=${await visitor.cookie('sessionid')}` };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => law.visitor().post(`/login?user=${ada.id}`, cookie)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201));
    expect(new Set(answers.map(({ setCookies }) => setCookies[0].split(';')[0])).size).toBe(1);
    expect(await law.store.findByUser(ada.id)).toHaveLength(1);
  });

  it('ends the oldest also when it gets a new id meanwhile', async () => {
    const [ada, second] = [newPerson(), law.visitor()];
    const first = await loggedIn(law.visitor(), ada);
    law.app.clock.advance('1s');
    const held = gate(law.store, 'delete');
    const login = second.post(`/login?user=${ada.id}`);
    await held.reached;
    await first.post('/cycle');
    held.open();
    expect((await login).status).toBe(201);
    expect((await first.get('/me')).status).toBe(401);
    expect((await second.get('/me')).status).toBe(200);
  });

  it('a login whose limit cannot be held is a 503 without a cookie', async () => {
    const { findByUser } = law.store;
    Object.assign(law.store, { findByUser: failing });
    try {
      const answer = await law.visitor().post(`/login?user=${newPerson().id}`);
      expect([answer.status, answer.setCookies]).toEqual([503, []]);
    } finally {
      Object.assign(law.store, { findByUser });
    }
  });

  it('keeps the users apart', async () => {
    const [ada, bob] = [
      await loggedIn(law.visitor(), newPerson()),
      await loggedIn(law.visitor(), newPerson()),
    ];
    expect([(await ada.get('/me')).status, (await bob.get('/me')).status]).toEqual([200, 200]);
  });
});

describeLaw('maxSessions that refuses', { ...limited(2, 'refuse'), on: withUsers }, (law) => {
  it('refuses a login beyond the limit, which changes nothing, and allows one after a logout', async () => {
    const ada = newPerson();
    const [first, second] = [await loggedIn(law.visitor(), ada), await loggedIn(law.visitor(), ada)];
    const bob = await loggedIn(law.visitor(), newPerson('Bob'));
    const refused = await bob.post(`/login?user=${ada.id}`);
    expect([refused.status, refused.json().code, refused.setCookies]).toEqual([
      409,
      'SESSION_LIMIT_REACHED',
      [],
    ]);
    expect((await bob.get('/me')).json().name).toBe('Bob');
    await first.post('/logout');
    await loggedIn(first, ada);
    expect([(await first.get('/me')).status, (await second.get('/me')).status]).toEqual([200, 200]);
  });

  it('a login again in the same browser takes no place', async () => {
    const ada = newPerson();
    const [first] = [await loggedIn(law.visitor(), ada), await loggedIn(law.visitor(), ada)];
    for (let i = 0; i < 3; i++) expect((await first.post(`/login?user=${ada.id}`)).status).toBe(201);
    expect((await first.post('/confirm')).status).toBe(201);
    expect(await law.store.findByUser(ada.id)).toHaveLength(2);
  });

  it('lets in exactly as many of 20 parallel logins as there are places', async () => {
    const ada = newPerson();
    const browsers = Array.from({ length: 20 }, () => law.visitor());
    const answers = await Promise.all(browsers.map((browser) => browser.post(`/login?user=${ada.id}`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, ...Array<number>(18).fill(409)]);
    expect(await law.store.findByUser(ada.id)).toHaveLength(2);
  });

  it('lets in no more when they come to two nodes', async () => {
    const ada = newPerson();
    const node = await law.another({});
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        new Browser(index % 2 ? node.url : law.app.url).post(`/login?user=${ada.id}`),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(2);
    expect(await law.store.findByUser(ada.id)).toHaveLength(2);
  });

  it('a form that is sent 20 times, to two nodes, takes one place', async () => {
    const [ada, visitor] = [newPerson(), law.visitor()];
    const node = await law.another({});
    await visitor.post('/fill');
    const cookie = { cookie: `sessionid=${await visitor.cookie('sessionid')}` };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        new Browser(index % 2 ? node.url : law.app.url).post(`/login?user=${ada.id}`, cookie),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201));
    expect(new Set(answers.map(({ setCookies }) => setCookies[0].split(';')[0])).size).toBe(1);
    expect(await law.store.findByUser(ada.id)).toHaveLength(1);
    expect((await loggedIn(law.visitor(), ada)) && (await law.store.findByUser(ada.id))).toHaveLength(2);
  });

  it('a login that a server error undid takes no place', async () => {
    const ada = newPerson();
    for (let i = 0; i < 3; i++)
      expect((await law.visitor().post(`/login-then-500?user=${ada.id}`)).status).toBe(500);
    await loggedIn(law.visitor(), ada);
    expect((await law.visitor().post(`/login?user=${ada.id}`)).status).toBe(201);
  });

  it('counts on when the ledger’s time is over, and its row was not swept away', async () => {
    const ada = newPerson();
    await loggedIn(law.visitor(), ada);
    law.app.clock.advance('3d');
    await loggedIn(law.visitor(), ada);
    expect((await law.visitor().post(`/login?user=${ada.id}`)).status).toBe(409);
  });
});
