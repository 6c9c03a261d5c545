import { Controller, Get, Post } from '@nestjs/common';
import { SessionEvents, Session } from 'nest-session';
import { Browser } from '../support/browser.js';
import { describeLaw, keyOfCookie } from '../support/laws.js';
import { AppUsers, newPerson, People } from '../support/people.js';
import type { AnySession } from '../support/stage.js';

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: AnySession) {
    session.set('views', 1);
    return {};
  }

  @Get('look')
  look(@Session() session: AnySession) {
    return { views: session.get('views') ?? null };
  }
}

const options = { controllers: [Pages, People], session: { auth: { users: AppUsers } } };

/** There it leaves by itself, and nobody meets it. */
const expiresByItself = ['Redis', 'cache'];
const on = ({ name }: { name: string }) => !expiresByItself.includes(name);

describeLaw('an expired session that a request brings', { ...options, on }, (law) => {
  const ended: unknown[] = [];
  beforeAll(() => void law.app.get<SessionEvents>(SessionEvents).on('ended', (event) => ended.push(event)));
  beforeEach(() => void ended.splice(0));

  /** Someone whose cookie outlives the time of their session, whatever the jar's own clock says. */
  const someone = async (path: string) => {
    const browser = new Browser(law.app.url);
    await browser.post(path);
    const value = await browser.cookie('sessionid');
    const record = await law.store.load(keyOfCookie(value));
    const cookie = { cookie: `sessionid=${value}` };
    return {
      get: (url: string) => browser.get(url, cookie),
      handle: record?.handle,
      key: keyOfCookie(value),
    };
  };
  /** What is done behind the answer is done by the next one or so. */
  const untilTold = async () => {
    for (let i = 0; i < 200 && ended.length === 0; i++) await new Browser(law.app.url).get('/unused');
  };

  it('costs one read, and is told of as idle', async () => {
    const visitor = await someone('/start');
    law.app.clock.advance('14d');
    law.forget();
    const answer = await visitor.get('/look');
    expect([answer.json(), answer.setCookies, law.commands]).toEqual([{ views: null }, [], ['load']]);
    await untilTold();
    expect(ended).toEqual([{ handle: visitor.handle, reason: 'idle' }]);
  });

  it('is not stored any more after that, and is told of once', async () => {
    const visitor = await someone('/start');
    law.app.clock.advance('14d');
    await visitor.get('/look');
    await untilTold();
    law.forget();
    expect((await visitor.get('/look')).json()).toEqual({ views: null });
    expect([law.commands, ended.length]).toEqual([['load'], 1]);
  });

  it('is told of as absolute where use could not lengthen it', async () => {
    const visitor = await someone('/start');
    for (let day = 0; day < 30; day += 6) {
      expect((await visitor.get('/look')).json()).toEqual({ views: 1 });
      law.app.clock.advance('6d');
    }
    await visitor.get('/look');
    await untilTold();
    expect(ended).toEqual([{ handle: visitor.handle, reason: 'absolute' }]);
  });

  it('is called expired by the guard, before and after it is deleted, and tells whose it was', async () => {
    const person = newPerson();
    const visitor = await someone(`/login?user=${person.id}`);
    law.app.clock.advance('14d');
    for (let i = 0; i < 2; i++) {
      const answer = await visitor.get('/me');
      expect([answer.status, answer.json().code]).toEqual([401, 'SESSION_EXPIRED']);
      await untilTold();
    }
    expect(ended).toEqual([{ handle: visitor.handle, userId: person.id, reason: 'idle' }]);
    expect((await new Browser(law.app.url).get('/me')).json().code).toBe('NOT_AUTHENTICATED');
  });
});
