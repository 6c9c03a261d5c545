import type { Answer, Browser } from '../support/browser.js';
import { type Command, describeLaw, gate, type Law, withUsers } from '../support/laws.js';
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
const flush: Move = { command: 'delete', run: (_, browser) => browser.post('/flush') };
const refresh: Move = {
  command: 'rename',
  run: (_, browser, person) => browser.post(`/password?to=${person.passwordHash}`),
};
/** As somebody else, in the same browser. */
const loginAsBob: Move = {
  command: 'delete',
  run: (_, browser) => browser.post(`/login?user=${newPerson('Bob').id}`),
};
/** An increment that was answered counts. */
const count: Move = { command: 'atomic', run: (_, browser) => browser.post('/count') };
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
type Outcome = 'in' | 'out' | 'either' | 'as stored';

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
  ['a confirmation and a logout', 'logged in', confirm, logout, 'out'],
  ['a confirmation and a flush', 'logged in', confirm, flush, 'out'],
  ['a confirmation and a cycle', 'logged in', confirm, cycle, 'in'],
  ['a confirmation and a count', 'logged in', confirm, count, 'in'],
  ['a refresh and a count', 'logged in', refresh, count, 'in'],
  ['a refresh and a refresh', 'logged in', refresh, refresh, 'in'],
  ['a refresh and a logout', 'logged in', refresh, logout, 'out'],
  ['a login and a flush', 'anonymous', login, flush, 'either'],
  ['a login and a count', 'anonymous', login, count, 'in'],
  ['a login again and a count', 'logged in', login, count, 'in'],
  ['a login again and the same', 'logged in', login, login, 'in'],
  ['a login as another and a count', 'logged in', loginAsBob, count, 'in'],
  ['a login as another and a cycle', 'logged in', loginAsBob, cycle, 'either'],
  ['a login as another and a confirmation', 'logged in', loginAsBob, confirm, 'either'],
  ['a login as another and a logout', 'logged in', loginAsBob, logout, 'either'],
  ['a cycle and a write', 'logged in', cycle, write, 'in'],
  ['a cycle and a cycle', 'logged in', cycle, cycle, 'in'],
  ['a cycle and a logout', 'logged in', cycle, logout, 'out'],
  ['a cycle and a flush', 'logged in', cycle, flush, 'out'],
  ['a cycle and a count', 'logged in', cycle, count, 'in'],
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

/** The value of the session cookie that an answer sets, if it does. */
const sessionCookie = ({ setCookies }: Answer): string | undefined =>
  setCookies.map((line) => /^sessionid=([^;]+)/.exec(line)?.[1]).find(Boolean);

describeLaw('two overlapping requests', { ...options, on: withUsers }, (law) => {
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
      const begun = await browser.cookie('sessionid');
      const answers = (await overlap(slow, quick, place, browser, person)).filter(
        (answer) => answer !== undefined,
      );
      for (const answer of answers) {
        expect([200, 201, 401, 409]).toContain(answer.status);
        if (answer.status === 409) expect(answer.setCookies).toEqual([]);
      }
      const [afterwards, page] = [await browser.get('/me'), await browser.get('/me', html)];
      expect([200, 401]).toContain(afterwards.status); // never a 409: the jar has the newest cookie
      const isIn = afterwards.status === 200;
      if (outcome === 'as stored') expect(isIn).toBe(place === 'after');
      else if (outcome !== 'either') expect(isIn).toBe(outcome === 'in');
      // Who is logged in does not land on the login page, and who is not can log in.
      expect(page.status).toBe(isIn ? 200 : 302);

      const moves = [one, other];
      const devices = await devicesOf(person);
      // The device that revokes is one of the person's, too.
      expect(devices).toBeLessThanOrEqual(
        moves.some((move) => move === revoke || move === revokeOne) ? 2 : 1,
      );
      if (moves.includes(loginAsBob) && isIn) expect(devices).toBe(0);
      if (outcome === 'in' && !moves.includes(loginAsBob) && !moves.includes(expiry)) {
        const { cart, n = 0 } = (await browser.get('/read')).json<{ cart: string[]; n?: number }>();
        const acknowledged = (move: Move) =>
          [slow, quick].filter((each, index) => each === move && answers[index]?.status === 201).length;
        expect([cart.length, n]).toEqual([1 + acknowledged(write), acknowledged(count)]);
      }
      await expectDeadAfterLogouts(moves.includes(revoke) || moves.includes(revokeOne), person, [
        begun,
        ...answers.map(sessionCookie),
        await browser.cookie('sessionid'),
      ]);
      const fresh = law.visitor();
      await loggedIn(fresh, person);
      expect((await fresh.get('/me')).status).toBe(200);
    });
  });

  const devicesOf = async ({ id }: Person) => (await law.store.findByUser(id)).length;

  /** A logout by any id that was ever issued ends what there is: nothing lives, and no id lets anybody in. */
  const expectDeadAfterLogouts = async (
    hasOtherDevice: boolean,
    person: Person,
    cookies: (string | undefined)[],
  ) => {
    const ids = cookies.filter((cookie) => cookie).map((cookie) => ({ cookie: `sessionid=${cookie}` }));
    for (const id of ids) expect((await law.visitor().post('/logout', id)).status).toBe(201);
    for (const id of ids) expect([401, 409]).toContain((await law.visitor().get('/me', id)).status);
    if (!hasOtherDevice) expect(await devicesOf(person)).toBe(0);
  };

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
