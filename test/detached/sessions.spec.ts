import { inspect } from 'node:util';
import { Controller, Get, Post } from '@nestjs/common';
import { Session, SessionEvents, SessionInterruptedException, Sessions } from 'nest-session';
import { Browser } from '../support/browser.js';
import { describeLaw, failing, gate, keyOfCookie, once, withUsers } from '../support/laws.js';
import { AppUsers, newPerson, People, people, type Person } from '../support/people.js';
import type { AnySession } from '../support/stage.js';

@Controller()
class Pages {
  @Post('write')
  write(@Session() session: AnySession) {
    session.set('written', 'by the visitor');
    return {};
  }

  @Get('passive-read')
  passiveRead(@Session() session: AnySession) {
    return session.data;
  }
}

const DAY = 86_400_000;
type Values = Record<string, unknown>;
const options = {
  controllers: [Pages, People],
  session: { auth: { users: AppUsers }, unconfirmedTimeout: '1h' },
};

describeLaw('sessions outside of requests', { ...options, on: withUsers }, (law) => {
  let sessions: Sessions;
  let person: Person;
  let browser: Browser;

  beforeAll(() => {
    sessions = law.app.get<Sessions>(Sessions);
  });
  beforeEach(async () => {
    person = newPerson();
    browser = law.visitor();
    await browser.post(`/login?user=${person.id}`);
  });

  const handleOf = async () => String((await browser.get('/read')).json().handle);
  const opened = async () => {
    const session = await sessions.open<Values>(person.id, await handleOf());
    if (!session) throw new Error('It was not found.');
    return session;
  };
  const recordOf = async () => law.store.load(keyOfCookie(await browser.cookie('sessionid')));

  describe('open', () => {
    it('finds a session by its user and its handle, loaded', async () => {
      await browser.post('/fill?item=rice');
      const session = await opened();
      expect(session.get('cart')).toEqual(['rice']);
      expect([session.userId, session.isNew, session.isEmpty]).toEqual([person.id, false, false]);
      expect(await session.load()).toBe(session);
    });

    it('finds nothing for another user, another handle, or after a logout', async () => {
      const handle = await handleOf();
      expect(await sessions.open(newPerson().id, handle)).toBeUndefined();
      expect(await sessions.open(person.id, 'f'.repeat(32))).toBeUndefined();
      await browser.post('/logout');
      expect(await sessions.open(person.id, handle)).toBeUndefined();
    });

    it('saves what the visitor finds at the next request', async () => {
      const session = await opened();
      session.set('plan', 'gold').data.nested = { deep: [1] };
      expect(session.modified).toBe(true);
      await session.save();
      expect(session.modified).toBe(false);
      expect((await browser.get('/passive-read')).json()).toMatchObject({
        plan: 'gold',
        nested: { deep: [1] },
      });
    });

    it('writes nothing without save(), and nothing where nothing changed', async () => {
      const session = await opened();
      session.get('cart');
      law.forget();
      await session.save();
      expect(law.commands).toEqual([]);
    });

    it('merges with what requests write meanwhile', async () => {
      const session = await opened();
      session.set('job', 'by the job');
      await browser.post('/write');
      await session.save();
      expect((await browser.get('/passive-read')).json()).toMatchObject({
        job: 'by the job',
        written: 'by the visitor',
      });
    });

    it('moves no deadline: nobody came by', async () => {
      const before = await recordOf();
      const session = await opened();
      law.app.clock.advance('2d');
      session.set('job', 1);
      await session.save();
      await session.atomic('n', () => 1);
      const after = await recordOf();
      expect([after?.lastSeenAt, after?.expiresAt, after?.absoluteExpiresAt]).toEqual([
        ...[before?.lastSeenAt, before?.expiresAt, before?.absoluteExpiresAt],
      ]);
    });

    it('does what setExpiry asks for, and ends the session for a Date in the past', async () => {
      const session = await opened();
      session.setExpiry('1d');
      await session.save();
      expect((await recordOf())?.expiresAt).toBe(law.app.clock.now() + DAY);
      session.setExpiry(new Date(0));
      await session.save();
      expect((await browser.get('/me')).status).toBe(401);
    });

    it('does not bring back a session that ended meanwhile', async () => {
      const session = await opened();
      session.set('job', 1);
      await browser.post('/logout');
      await expect(session.save()).rejects.toBeInstanceOf(SessionInterruptedException);
      await expect(session.atomic('n', () => 1)).rejects.toBeInstanceOf(SessionInterruptedException);
      expect(await law.store.findByUser(person.id)).toEqual([]);
    });

    it('goes on under the new id that a request gave the session meanwhile', async () => {
      const session = await opened();
      session.set('job', 1);
      await browser.post('/confirm');
      await session.save();
      await browser.post('/confirm');
      expect(await session.atomic('n', (n) => Number(n ?? 0) + 1)).toBe(1);
      expect((await browser.get('/passive-read')).json()).toMatchObject({ job: 1, n: 1 });
    });

    it('ends it at once by flush(), under whatever id it has by then', async () => {
      const session = await opened();
      await browser.post('/confirm');
      await session.flush();
      expect((await browser.get('/me')).json().code).toBe('SESSION_EXPIRED');
      expect([session.isNew, session.userId, session.size]).toEqual([true, undefined, 0]);
      expect(await law.store.findByUser(person.id)).toEqual([]);
    });

    it('changes one value in one step, as many jobs as there are', async () => {
      const jobs = await Promise.all(Array.from({ length: 5 }, opened));
      await Promise.all(jobs.map((job) => job.atomic('n', (n) => Number(n ?? 0) + 1)));
      expect((await browser.get('/passive-read')).json().n).toBe(5);
    });

    it('does things in the order in which they were asked for', async () => {
      const session = await opened();
      session.set('n', 1);
      const work = [session.save(), session.atomic('n', (n) => Number(n) + 1)];
      session.set('m', 1);
      await Promise.all([...work, session.save()]);
      expect((await browser.get('/passive-read')).json()).toMatchObject({ n: 2, m: 1 });
    });

    it('goes on after a failure: what was not saved is saved the next time', async () => {
      const session = await opened();
      session.set('job', 1);
      once(law.store, 'save', failing);
      await expect(session.save()).rejects.toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE' });
      await session.save();
      expect((await browser.get('/passive-read')).json()).toMatchObject({ job: 1 });
    });

    it('can not cycle the id, which would lock the visitor out', async () => {
      const session = await opened();
      session.cycleId();
      await expect(session.save()).rejects.toThrow(/can't learn the new id/);
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('gives away nothing that selects the session', async () => {
      const session = await opened();
      const cookie = String(await browser.cookie('sessionid'));
      const shown = inspect(session, { depth: 9, showHidden: true }) + JSON.stringify(session);
      for (const secret of [cookie.split('.')[0], keyOfCookie(cookie)]) expect(shown).not.toContain(secret);
      expect(() => sessions.cookieHeader(session)).toThrow(/known to its browser alone/);
      expect(() => sessions.setCookieHeaders(session)).toThrow(/known to its browser alone/);
    });
  });

  describe('create', () => {
    const created = async (values: Values, userId?: string) => {
      const session = await sessions.create<Values>({ userId });
      session.update(values);
      await session.save();
      return session;
    };

    it('makes a session that a browser can have', async () => {
      const session = await created({ greeting: 'hello' });
      const visitor = law.visitor();
      const cookie = sessions.cookieHeader(session, { secure: false });
      const answer = await visitor.get('/passive-read', { cookie });
      expect(answer.json()).toEqual({ greeting: 'hello' });
      const [setCookie, ...more] = sessions.setCookieHeaders(session, { secure: false });
      expect([more, setCookie]).toEqual([
        [],
        `${cookie}; Max-Age=${30 * 86_400}; Path=/; HttpOnly; SameSite=Lax`,
      ]);
    });

    it('gives the cookie its name on HTTPS unless told otherwise', async () => {
      const session = await created({ a: 1 });
      expect(sessions.cookieHeader(session)).toMatch(/^__Host-sessionid=[\w-]{43}\.[\w-]{43}$/);
      expect(sessions.setCookieHeaders(session)).toEqual([
        expect.stringMatching(/^__Host-sessionid=.*; Secure/),
      ]);
    });

    it('stores nothing before save(), which stores also what is empty', async () => {
      law.forget();
      const session = await sessions.create();
      const { handle } = session;
      expect([law.commands, session.isNew]).toEqual([[], true]);
      expect(() => sessions.cookieHeader(session)).toThrow(/await session.save\(\) first/);

      await session.save();
      expect([law.commands, session.isNew, session.isEmpty]).toEqual([['create'], false, true]);
      const cookie = sessions.cookieHeader(session, { secure: false });
      expect((await law.visitor().get('/passive-read', { cookie })).json()).toEqual({});
      expect(session.handle).toBe(handle);
    });

    it('logs a user in, whom the guard lets in', async () => {
      const session = await created({}, person.id);
      expect(session.userId).toBe(person.id);
      const cookie = sessions.cookieHeader(session, { secure: false });
      const answer = await law.visitor().get('/me', { cookie });
      expect(answer.json()).toEqual({ id: person.id, name: person.name });
      person.passwordHash = 'another one';
      expect((await law.visitor().get('/me', { cookie })).status).toBe(401);
    });

    it('logs nobody in who is not there, or not active', async () => {
      await expect(sessions.create({ userId: 'nobody' })).rejects.toThrow(/no active user/);
      people.get(person.id)!.isDisabled = true;
      await expect(sessions.create({ userId: person.id })).rejects.toThrow(/no active user/);
    });

    it('gives it all of its time: what a program makes on purpose is no bot', async () => {
      const session = await created({ a: 1 });
      expect(session.expiresAt.getTime()).toBe(law.app.clock.now() + 14 * DAY);
    });

    it('cycles, saves again and ends', async () => {
      const session = await created({ a: 1 });
      const first = sessions.cookieHeader(session, { secure: false });
      session.cycleId();
      session.set('b', 2);
      await session.save();
      const second = sessions.cookieHeader(session, { secure: false });
      expect(second).not.toBe(first);
      const visitor = law.visitor();
      expect((await visitor.get('/passive-read', { cookie: second })).json()).toEqual({ a: 1, b: 2 });
      await session.flush();
      expect((await visitor.get('/passive-read', { cookie: second })).json()).toEqual({});
    });

    it('tells what happens to it, as of any session', async () => {
      const events = law.app.get<SessionEvents>(SessionEvents);
      const told: unknown[] = [];
      const stop = (['created', 'authenticated', 'saved', 'ended'] as const).map((name) =>
        events.on(name, (event) => told.push([name, event])),
      );
      const session = await created({}, person.id);
      const subject = { handle: session.handle, userId: person.id };
      session.set('a', 1);
      await session.save();
      await session.flush();
      for (const each of stop) each();
      expect(told).toEqual([
        ['created', subject],
        ['authenticated', subject],
        ['saved', subject],
        ['ended', { ...subject, reason: 'flushed' }],
      ]);
    });
  });

  it('refuses to hand on the session of a request', () => {
    expect(() => sessions.cookieHeader({})).toThrow(/Only a session of Sessions.create/);
  });

  it('interrupts a job that saves while the logout is under way', async () => {
    const session = await opened();
    session.set('job', 1);
    const save = gate(law.store, 'save');
    const saving = session.save();
    await save.reached;
    await browser.post('/logout');
    save.open();
    await expect(saving).rejects.toMatchObject({ code: 'SESSION_INTERRUPTED' });
    expect(await law.store.findByUser(person.id)).toEqual([]);
  });
});
