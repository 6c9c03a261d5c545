import { Controller, Get, Post } from '@nestjs/common';
import { Session } from 'nest-session';
import type { Browser } from '../support/browser.js';
import { type Command, describeLaw, gate, keyOfCookie } from '../support/laws.js';

type Data = Session<{ views: number; note: string }>;

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: Data) {
    session.set('views', 1);
    return {};
  }

  @Get('read')
  read(@Session() session: Data) {
    return session.data;
  }

  @Post('set')
  set(@Session() session: Data) {
    session.set('note', 'late');
    return {};
  }

  @Post('save')
  async save(@Session() session: Data) {
    session.set('note', 'late');
    await session.save();
    return {};
  }

  @Post('cycle')
  cycle(@Session() session: Data) {
    session.cycleId();
    return {};
  }

  @Post('increment')
  async increment(@Session() session: Data) {
    await session.atomic('views', (views) => (views ?? 0) + 1);
    return {};
  }

  @Post('flush')
  async flush(@Session() session: Data) {
    await session.flush();
    return {};
  }
}

const LATE: [string, string, Command][] = [
  ['a save', '/set', 'save'],
  ['an explicit save', '/save', 'save'],
  ['a cycle', '/cycle', 'rename'],
  ['an atomic change', '/increment', 'atomic'],
];

describeLaw('law 5: dead stays dead', { controllers: [Pages], session: { rotationGrace: 0 } }, (law) => {
  const visitorWithSession = async () => {
    const visitor = law.visitor();
    await visitor.post('/start');
    return visitor;
  };

  /** A request that loaded before the end and writes after it. */
  const late = async (visitor: Browser, path: string, command: Command, end: () => Promise<unknown>) => {
    const held = gate(law.store, command);
    const answering = visitor.post(path);
    await held.reached;
    await end();
    held.open();
    return answering;
  };

  it.each(LATE)('%s after a logout creates nothing', async (_, path, command) => {
    const visitor = await visitorWithSession();
    const other = law.visitor();
    const cookie = await visitor.cookie('sessionid');
    const before = await law.store.count();
    const answer = await late(visitor, path, command, () =>
      other.request('POST', '/flush', { headers: { cookie: `sessionid=${cookie}` } }),
    );
    expect(answer.status).toBe(409);
    expect(answer.json()).toMatchObject({ statusCode: 409, code: 'SESSION_INTERRUPTED' });
    expect(answer.setCookies).toEqual([]);
    expect(await law.store.load(keyOfCookie(cookie))).toBeUndefined();
    expect(await law.store.count()).toBe(before - 1);
  });

  it.each(LATE)('%s after the expiry creates nothing', async (_, path, command) => {
    const visitor = await visitorWithSession();
    const cookie = await visitor.cookie('sessionid');
    const answer = await late(visitor, path, command, async () => law.app.clock.advance('31d'));
    expect(answer.status).toBe(409);
    expect(answer.setCookies).toEqual([]);
    expect(await law.store.load(keyOfCookie(cookie))).toBeUndefined();
  });

  it('a touch after a logout creates nothing, and does not disturb the reader', async () => {
    const visitor = await visitorWithSession();
    const cookie = await visitor.cookie('sessionid');
    law.app.clock.advance('10m');
    const touch = gate(law.store, 'touch');
    const reading = visitor.get('/read');
    await touch.reached;
    await law.visitor().request('POST', '/flush', { headers: { cookie: `sessionid=${cookie}` } });
    touch.open();
    const answer = await reading;
    expect([answer.status, answer.json(), answer.setCookies]).toEqual([200, { views: 1 }, []]);
    expect(await law.store.load(keyOfCookie(cookie))).toBeUndefined();
  });
});
