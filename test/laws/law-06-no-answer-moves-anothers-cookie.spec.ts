import { Controller, Get, Post } from '@nestjs/common';
import { Session, SessionEvents, SessionStore } from 'nest-session';
import { Browser } from '../support/browser.js';
import { SECRET } from '../support/http-app.js';
import { type Command, describeLaw, gate, keyOfCookie } from '../support/laws.js';

type Data = Session<{ views: number; note: string }>;

@Controller()
class Pages {
  @Get('unused')
  unused() {
    return 'a page';
  }

  @Post('start')
  start(@Session() session: Data) {
    session.set('views', 1);
    return {};
  }

  @Get('read')
  read(@Session() session: Data) {
    return { ...session.data, isNew: session.isNew };
  }

  @Get('view-counter')
  viewCounter(@Session() session: Data) {
    session.set('views', (session.get('views') ?? 0) + 1);
    return { views: session.get('views') };
  }

  @Post('set')
  set(@Session() session: Data) {
    session.set('note', 'set');
    return {};
  }

  @Post('cycle')
  cycle(@Session() session: Data) {
    session.cycleId();
    return {};
  }

  @Post('flush')
  async flush(@Session() session: Data) {
    await session.flush();
    return {};
  }

  @Post('browser-session')
  browserSession(@Session() session: Data) {
    session.setExpiry('browser');
    return {};
  }

  @Post('idle-timeout')
  idleTimeout(@Session() session: Data) {
    session.setExpiry('20m');
    return {};
  }

  @Post('fixed-end')
  fixedEnd(@Session() session: Data) {
    session.setExpiry(new Date(session.createdAt.getTime() + 3_600_000));
    return {};
  }

  @Post('end-now')
  endNow(@Session() session: Data) {
    session.setExpiry(-1);
    return {};
  }
}

describeLaw('law 6: no answer moves another answer’s cookie', { controllers: [Pages] }, (law) => {
  const visitorWithSession = async () => {
    const visitor = law.visitor();
    await visitor.post('/start');
    return visitor;
  };
  const withCookie = (cookie: string | undefined) => ({ cookie: `sessionid=${cookie}` });

  it('sets the cookie when the session starts, and not again', async () => {
    const visitor = law.visitor();
    expect((await visitor.post('/start')).setCookies).toEqual([
      expect.stringMatching(
        /^sessionid=[\w-]{43}\.[\w-]{43}; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/,
      ),
    ]);
    for (const answer of [
      await visitor.post('/set'),
      await visitor.get('/read'),
      await visitor.get('/view-counter'),
    ])
      expect(answer.setCookies).toEqual([]);
  });

  it('sets no cookie with a touch', async () => {
    const visitor = await visitorWithSession();
    law.app.clock.advance('10m');
    law.forget();
    expect((await visitor.get('/read')).setCookies).toEqual([]);
    expect(law.commands).toEqual(['load', 'touch']);
  });

  it('sets it when its lifetime or its persistence changes, and only then', async () => {
    const visitor = await visitorWithSession();
    expect((await visitor.post('/idle-timeout')).setCookies).toEqual([]); // the absolute deadline is the same
    expect((await visitor.post('/browser-session')).setCookies).toEqual([
      expect.not.stringContaining('Max-Age'),
    ]);
    expect((await visitor.post('/browser-session')).setCookies).toEqual([]);
    expect((await visitor.post('/fixed-end')).setCookies).toEqual([expect.stringContaining('Max-Age=3600')]);
    expect((await visitor.post('/fixed-end')).setCookies).toEqual([]);
  });

  it('clears it when the request itself ends the session by a past expiry', async () => {
    const visitor = await visitorWithSession();
    const key = keyOfCookie(await visitor.cookie('sessionid'));
    const answer = await visitor.post('/end-now');
    expect(answer.setCookies).toEqual([expect.stringMatching(/^sessionid=; Max-Age=0;/)]);
    expect((await law.store.load(key))?.gone).toBe('ended');
  });

  const OVERLAPS: [string, string, Command, 'GET' | 'POST', number][] = [
    ['a write', '/set', 'save', 'POST', 409],
    ['a cycle', '/cycle', 'rename', 'POST', 409],
    ['a read that touches', '/read', 'touch', 'GET', 200],
  ];

  it.each(OVERLAPS)(
    '%s that answers after a cycle moves no cookie',
    async (_, path, command, method, status) => {
      const visitor = await visitorWithSession();
      law.app.clock.advance('10m');
      const held = gate(law.store, command);
      const slow = visitor.request(method, path);
      await held.reached;
      expect((await visitor.post('/cycle')).setCookies).toHaveLength(1);
      const fresh = await visitor.cookie('sessionid');
      held.open();
      const answer = await slow;
      expect([answer.status, answer.setCookies]).toEqual([status, []]);
      if (status === 409) expect(answer.json()).toMatchObject({ code: 'SESSION_ROTATED' });
      expect(await visitor.cookie('sessionid')).toBe(fresh);
      expect((await visitor.get('/read')).json()).toEqual({ views: 1, isNew: false });
    },
  );

  it.each(OVERLAPS)(
    '%s that answers after a flush moves no cookie',
    async (_, path, command, method, status) => {
      const visitor = await visitorWithSession();
      law.app.clock.advance('10m');
      const held = gate(law.store, command);
      const slow = visitor.request(method, path);
      await held.reached;
      await visitor.post('/flush');
      await visitor.post('/start');
      const fresh = await visitor.cookie('sessionid');
      held.open();
      const answer = await slow;
      expect([answer.status, answer.setCookies]).toEqual([status, []]);
      if (status === 409) expect(answer.json()).toMatchObject({ code: 'SESSION_INTERRUPTED' });
      expect(await visitor.cookie('sessionid')).toBe(fresh);
      expect((await visitor.get('/read')).json()).toEqual({ views: 1, isNew: false });
    },
  );

  it('knows the old id for 30 s after a cycle: reads are anonymous, writes are told to repeat', async () => {
    const visitor = await visitorWithSession();
    const old = await visitor.cookie('sessionid');
    await visitor.post('/cycle');
    const stale = law.visitor();
    const read = await stale.get('/read', withCookie(old));
    expect([read.json(), read.setCookies]).toEqual([{ isNew: true }, []]);
    const write = await stale.post('/set', withCookie(old));
    expect([write.status, write.json().code, write.setCookies]).toEqual([409, 'SESSION_ROTATED', []]);
    law.app.clock.advance('31s');
    const late = await stale.post('/set', withCookie(old));
    expect([late.status, late.setCookies.length]).toEqual([201, 1]); // a dead cookie as any other
  });

  it('sends a page that came with the old id back to its own URL, once', async () => {
    const visitor = await visitorWithSession();
    const old = await visitor.cookie('sessionid');
    await visitor.post('/cycle');
    const html = { accept: 'text/html,application/xhtml+xml' };
    const stale = law.visitor();
    const first = await stale.get('/view-counter?page=2', { ...html, ...withCookie(old) });
    expect([first.status, first.headers.get('location')]).toEqual([307, '/view-counter?page=2']);
    expect(first.headers.get('cache-control')).toBe('no-store');
    expect(first.setCookies).toEqual([expect.not.stringContaining('sessionid=')]);
    const marker = first.setCookies[0].split(';')[0];
    const second = await stale.get('/view-counter?page=2', {
      ...html,
      cookie: `sessionid=${old}; ${marker}`,
    });
    expect([second.status, second.setCookies]).toEqual([409, []]);
    // A browser has the newer cookie by then.
    expect((await visitor.get('/view-counter?page=2', html)).json()).toEqual({ views: 2 });
  });

  it.each(['//elsewhere.example/view-counter', '/\\elsewhere.example'])(
    'sends nobody elsewhere for a request to %s',
    async (path) => {
      const visitor = await visitorWithSession();
      const old = await visitor.cookie('sessionid');
      await visitor.post('/cycle');
      const answer = await law.visitor().get(path, { accept: 'text/html', ...withCookie(old) });
      expect(answer.headers.get('location') ?? '').not.toMatch(/elsewhere/);
    },
  );

  it('knows an ended id for 30 s: reads are anonymous, writes are interrupted', async () => {
    const visitor = await visitorWithSession();
    const old = await visitor.cookie('sessionid');
    await visitor.post('/flush');
    const stale = law.visitor();
    expect((await stale.get('/read', withCookie(old))).json()).toEqual({ isNew: true });
    const write = await stale.post('/set', withCookie(old));
    expect([write.status, write.json().code, write.setCookies]).toEqual([409, 'SESSION_INTERRUPTED', []]);
    law.app.clock.advance('31s');
    expect((await stale.post('/set', withCookie(old))).status).toBe(201);
  });

  it('lets a flush with a dead cookie succeed: a double click is no error', async () => {
    const visitor = await visitorWithSession();
    const old = await visitor.cookie('sessionid');
    await visitor.post('/flush');
    const again = await law.visitor().post('/flush', withCookie(old));
    expect([again.status, again.setCookies]).toEqual([
      201,
      [expect.stringMatching(/^sessionid=; Max-Age=0;/)],
    ]);
  });

  it('a flush that comes with a replaced id ends the session under its newer one, and clears the cookie', async () => {
    const visitor = await visitorWithSession();
    const old = await visitor.cookie('sessionid');
    await visitor.post('/cycle');
    await visitor.post('/cycle');
    const ended: unknown[] = [];
    const off = law.app.get<SessionEvents>(SessionEvents).on('ended', (event) => ended.push(event.handle));
    const { handle } = (await law.store.load(keyOfCookie(await visitor.cookie('sessionid'))))!;
    const answers = [
      await law.visitor().post('/flush', withCookie(old)),
      await law.visitor().post('/flush', withCookie(old)), // there is nothing left to end, or to tell
    ];
    off();
    for (const answer of answers)
      expect([answer.status, answer.setCookies]).toEqual([
        201,
        [expect.stringMatching(/^sessionid=; Max-Age=0;/)],
      ]);
    expect((await visitor.get('/read')).json()).toEqual({ isNew: true });
    expect(ended).toEqual([handle]);
  });

  it('clears no cookie that the request did not bring', async () => {
    expect((await law.visitor().post('/flush')).setCookies).toEqual([]);
  });

  it('leaves a dead cookie alone; a signed one costs one read, an unsigned one nothing', async () => {
    const visitor = await visitorWithSession();
    const cookie = await visitor.cookie('sessionid');
    law.app.clock.advance('31d');
    law.forget();
    expect((await visitor.get('/read', withCookie(cookie))).setCookies).toEqual([]);
    expect(law.commands).toEqual(['load']);
    law.forget();
    expect((await law.visitor().get('/read', withCookie('x'.repeat(87)))).setCookies).toEqual([]);
    expect(law.commands).toEqual([]);
  });

  it('issues the cookie anew under a new secret, at a save or a touch, with the same id', async () => {
    const visitor = await visitorWithSession();
    const old = await visitor.cookie('sessionid');
    const rotated = await law.another({
      session: { secret: ['a new secret, of more than 32 characters', SECRET] },
    });
    const browser = new Browser(rotated.url);
    expect((await browser.get('/read', withCookie(old))).setCookies).toEqual([]); // nothing was written
    const saved = await browser.post('/set', withCookie(old));
    expect(saved.setCookies).toHaveLength(1);
    const fresh = await browser.cookie('sessionid');
    expect([fresh?.split('.')[0], fresh === old]).toEqual([old?.split('.')[0], false]);
    expect((await browser.post('/set')).setCookies).toEqual([]);
    law.app.clock.advance('10m');
    expect((await new Browser(rotated.url).get('/read', withCookie(old))).setCookies).toHaveLength(1);
    // The old secret alone does not know the new cookie.
    expect((await law.visitor().get('/read', withCookie(fresh))).json()).toEqual({ isNew: true });
  });

  it('a refused save sets no cookie for a session that had a new secret to come', async () => {
    const visitor = await visitorWithSession();
    const old = await visitor.cookie('sessionid');
    const rotated = await law.another({
      session: { secret: ['another new secret, of more than 32 chars', SECRET] },
    });
    const held = gate(rotated.get<SessionStore>(SessionStore), 'save');
    const slow = new Browser(rotated.url).post('/set', withCookie(old));
    await held.reached;
    await visitor.post('/flush');
    held.open();
    const answer = await slow;
    expect([answer.status, answer.setCookies]).toEqual([409, []]);
  });
});
