import type { Answer, Browser } from '../support/browser.js';
import { type Command, describeLaw, gate, type Law, oneOfEachKind } from '../support/laws.js';
import { AppUsers, loggedIn, newPerson, People, type Person } from '../support/people.js';

const options = { controllers: [People], session: { auth: { users: AppUsers, loginUrl: '/login' } } };
const html = { accept: 'text/html' };

/** One of two requests, and the command of the store that it ends with. */
interface Move {
  readonly command: Command | undefined;
  run(law: Law, browser: Browser, person: Person): Promise<Answer | void>;
}

const read: Move = { command: 'touch', run: (_, browser) => browser.get('/read') };
const write: Move = { command: 'save', run: (_, browser) => browser.post('/fill') };
const login: Move = { command: 'rename', run: (_, browser, { id }) => browser.post(`/login?user=${id}`) };
const logout: Move = { command: 'delete', run: (_, browser) => browser.post('/logout') };
const confirm: Move = { command: 'rename', run: (_, browser) => browser.post('/confirm') };
const cycle: Move = { command: 'rename', run: (_, browser) => browser.post('/cycle') };
/** From another device. */
const revoke: Move = {
  command: 'delete',
  run: async (law, _, person) => {
    const device = await loggedIn(law.visitor(), person);
    await device.post('/devices/others/revoke');
  },
};
const revokeOne: Move = {
  command: 'delete',
  run: async (law, browser, person) => {
    const [session] = await law.store.findByUser(person.id);
    if (!session) return;
    const device = await loggedIn(law.visitor(), person);
    await device.post(`/devices/one/${session.record.handle}/revoke`);
    await browser.get('/unused');
  },
};
const expiry: Move = {
  command: undefined,
  run: async (law) => law.app.clock.advance('2m'),
};

/** `as stored`: in, if the store saw the request before the session's time was over. */
type Outcome = 'in' | 'out' | 'either' | 'out unless refused' | 'as stored';

/** Who begins logged in: all but the visitor of a login, who has a cart. What must be when both were answered. */
const PAIRS: [name: string, begins: 'anonymous' | 'logged in', one: Move, other: Move, Outcome][] = [
  ['a login and a read', 'anonymous', login, read, 'in'],
  ['a login and a write', 'anonymous', login, write, 'in'],
  ['a login and the same login', 'anonymous', login, login, 'in'],
  ['a login and a logout', 'anonymous', login, logout, 'either'],
  ['a logout and a read', 'logged in', logout, read, 'out'],
  ['a logout and a write', 'logged in', logout, write, 'out'],
  ['a logout and a logout', 'logged in', logout, logout, 'out'],
  ['a logout and a login', 'logged in', logout, login, 'either'],
  ['a confirmation and a read', 'logged in', confirm, read, 'in'],
  ['a confirmation and a write', 'logged in', confirm, write, 'in'],
  ['a confirmation and a confirmation', 'logged in', confirm, confirm, 'in'],
  ['a confirmation and a login', 'logged in', confirm, login, 'in'],
  ['a confirmation and a logout', 'logged in', confirm, logout, 'out unless refused'],
  ['a cycle and a write', 'logged in', cycle, write, 'in'],
  ['a cycle and a cycle', 'logged in', cycle, cycle, 'in'],
  ['a cycle and a logout', 'logged in', cycle, logout, 'out unless refused'],
  ['a revocation and a read', 'logged in', revoke, read, 'out'],
  ['a revocation and a write', 'logged in', revoke, write, 'out'],
  ['a revocation and a logout', 'logged in', revoke, logout, 'out'],
  ['a revocation by name and a cycle', 'logged in', revokeOne, cycle, 'out'],
  ['a revocation and a login', 'logged in', revoke, login, 'either'],
  ['an expiry and a read', 'logged in', expiry, read, 'as stored'],
  ['an expiry and a write', 'logged in', expiry, write, 'as stored'],
  ['an expiry and a logout', 'logged in', expiry, logout, 'out'],
  ['an expiry and a login', 'logged in', expiry, login, 'in'],
];

describeLaw('two overlapping requests', { ...options, on: oneOfEachKind }, (law) => {
  /** Lets `slow` wait at its command, for `quick` to be answered meanwhile. */
  const overlap = async (
    slow: Move,
    quick: Move,
    place: 'before' | 'after',
    browser: Browser,
    person: Person,
  ): Promise<(Answer | void)[]> => {
    const held = gate(law.store, slow.command ?? 'load', place);
    const slowly = slow.run(law, browser, person);
    await Promise.race([held.reached, slowly]); // it may be over without that command
    const quickly = await quick.run(law, browser, person);
    held.open();
    return [await slowly, quickly];
  };

  describe.each(PAIRS)('%s', (_, begins, one, other, outcome) => {
    const orders = [
      ['the first answers last', one, other],
      ['the second answers last', other, one],
    ] as const;
    const places = ['before', 'after'] as const;
    const cases = orders
      .filter(([, slow]) => slow.command)
      .flatMap(([order, slow, quick]) => places.map((place) => [order, place, slow, quick] as const));

    it.each(cases)('%s, held %s its command: the jar ends right', async (_order, place, slow, quick) => {
      const [browser, person] = [law.visitor(), newPerson()];
      await browser.post('/fill');
      if (begins === 'logged in') await loggedIn(browser, person);
      law.app.clock.advance(14 * 86_400 - 60); // a read has something to write, and little time is left
      const answers = await overlap(slow, quick, place, browser, person);
      for (const answer of answers) {
        if (!answer) continue;
        expect([200, 201, 401, 409]).toContain(answer.status);
        if (answer.status === 409) expect(answer.setCookies).toEqual([]);
      }
      const [afterwards, page] = [await browser.get('/me'), await browser.get('/me', html)];
      expect([200, 401]).toContain(afterwards.status); // never a 409: the jar has the newest cookie
      const isIn = afterwards.status === 200;
      const isRefused = answers.some((answer) => answer && /SESSION_ROTATED/.test(answer.text));
      if (outcome === 'out unless refused') expect(isIn).toBe(isRefused);
      else if (outcome === 'as stored') expect(isIn).toBe(place === 'after');
      else if (outcome !== 'either') expect(isIn).toBe(outcome === 'in');
      // Not only the cookie is gone: nothing of a session that was logged out lives on.
      const isLoggedOut = [one, other].includes(logout) && outcome !== 'either' && !isIn;
      if (isLoggedOut && one !== revoke) expect(await law.store.findByUser(person.id)).toEqual([]);
      // Who is logged in does not land on the login page, and who is not can log in.
      expect(page.status).toBe(isIn ? 200 : 302);
      if (isIn) return;
      await loggedIn(browser, person);
      expect((await browser.get('/me')).status).toBe(200);
    });
  });

  it.each(['rename', undefined] as const)(
    'a login form that is sent twice logs in, keeps what the visitor had, and is no error (%s)',
    async (held) => {
      const [browser, person] = [law.visitor(), newPerson()];
      await browser.post('/fill');
      const first = held && gate(law.store, held, 'after');
      const sent = [browser.post(`/login?user=${person.id}`)];
      await first?.reached; // the second one comes when the first is stored, and not answered
      sent.push(browser.post(`/login?user=${person.id}`));
      await sent[1];
      first?.open();
      const answers = await Promise.all(sent);
      expect((await browser.get('/read')).json()).toMatchObject({ cart: ['tea'], user: person.id });
      expect(answers.map(({ status, setCookies }) => [status, setCookies.length])).toEqual([
        [201, 1],
        [201, 1],
      ]);
      expect((await browser.get('/read')).json()).toMatchObject({ cart: ['tea'], user: person.id });
    },
  );

  it('a login whose session ended meanwhile takes nothing over from it', async () => {
    const [browser, person] = [law.visitor(), newPerson()];
    await loggedIn(browser, person);
    await browser.post('/fill');
    const held = gate(law.store, 'rename');
    const slow = browser.post(`/login?user=${person.id}`);
    await held.reached;
    await browser.post('/logout');
    held.open();
    expect((await slow).status).toBe(201);
    expect((await browser.get('/read')).json()).toEqual({ user: person.id, handle: expect.any(String) });
  });

  it('six requests while one confirms: none of them logs out, and each page arrives', async () => {
    const [browser, person] = [law.visitor(), newPerson()];
    await loggedIn(browser, person);
    const held = gate(law.store, 'rename', 'after');
    const confirming = browser.post('/confirm');
    await held.reached;
    const pages = await Promise.all(Array.from({ length: 6 }, () => browser.get('/me', html)));
    // The id is old, and the newer cookie is on its way: back to the same page, not to the login.
    for (const page of pages) expect([page.status, page.headers.get('location')]).toEqual([307, '/me']);
    const early = Promise.all(Array.from({ length: 6 }, () => browser.post('/me/rename')));
    for (const { status, json } of await early)
      expect([status, json().code]).toEqual([409, 'SESSION_ROTATED']);
    held.open();
    expect((await confirming).status).toBe(201);
    const again = await Promise.all(pages.map(() => browser.get('/me', html)));
    expect(again.map(({ status }) => status)).toEqual(Array(6).fill(200));
  });

  it('six requests that had begun when one confirms are answered, or told to repeat', async () => {
    const [browser, person] = [law.visitor(), newPerson()];
    await loggedIn(browser, person);
    const answers = await Promise.all([
      ...Array.from({ length: 3 }, () => browser.get('/me')),
      browser.post('/confirm'),
      ...Array.from({ length: 3 }, () => browser.post('/me/rename')),
    ]);
    expect(answers[3].status).toBe(201);
    for (const answer of answers.filter(({ status }) => status >= 400))
      expect(answer.json().code).toBe('SESSION_ROTATED');
    expect(answers.flatMap(({ setCookies }) => setCookies)).toHaveLength(1);
    expect((await browser.get('/me')).status).toBe(200);
  });
});
