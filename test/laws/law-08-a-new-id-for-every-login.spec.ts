import { Controller, Get, Post } from '@nestjs/common';
import { Session } from 'nest-session';
import { describeLaw, keyOfCookie } from '../support/laws.js';

type Data = Session<{ cart: string[]; user: string }>;

@Controller()
class Pages {
  @Post('fill')
  fill(@Session() session: Data) {
    session.set('cart', ['tea']);
    return {};
  }

  /** A login by hand; those of `SessionAuth` are tested in test/auth. */
  @Post('login')
  login(@Session() session: Data) {
    session.cycleId();
    session.set('user', 'ada');
    return {};
  }

  @Get('read')
  read(@Session() session: Data) {
    return session.data;
  }

  @Get('handle')
  handle(@Session() session: Data) {
    return { handle: session.handle };
  }
}

describeLaw('law 8: a cycle renews the id, the old one is worth nothing', { controllers: [Pages] }, (law) => {
  it('keeps the data and the handle, and sends the new id in the same answer', async () => {
    const visitor = law.visitor();
    await visitor.post('/fill');
    const before = [await visitor.cookie('sessionid'), (await visitor.get('/handle')).json().handle];
    const answer = await visitor.post('/login');
    expect(answer.setCookies).toHaveLength(1);
    const after = [await visitor.cookie('sessionid'), (await visitor.get('/handle')).json().handle];
    expect(after[0]).not.toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect((await visitor.get('/read')).json()).toEqual({ cart: ['tea'], user: 'ada' });
  });

  it('writes data and id in one command', async () => {
    const visitor = law.visitor();
    await visitor.post('/fill');
    law.forget();
    await visitor.post('/login');
    expect(law.commands).toEqual(['load', 'rename']);
  });

  it('opens nothing with the id from before, planted or not, from that moment and later', async () => {
    const attacker = law.visitor();
    await attacker.post('/fill');
    const planted = await attacker.cookie('sessionid');
    const victim = law.visitor();
    await victim.jar.setCookie(`sessionid=${planted}; Path=/`, victim.origin);
    await victim.post('/login');
    expect((await attacker.get('/read')).json()).toEqual({});
    law.app.clock.advance('1m');
    expect((await attacker.get('/read')).json()).toEqual({});
    expect((await law.store.load(keyOfCookie(planted)))?.values ?? {}).toEqual({});
    expect((await victim.get('/read')).json()).toEqual({ cart: ['tea'], user: 'ada' });
  });

  it('lets one of two cycles at once win; the other is told to repeat, and the browser has the living id', async () => {
    const visitor = law.visitor();
    await visitor.post('/fill');
    const answers = await Promise.all([visitor.post('/login'), visitor.post('/login')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    expect(answers.flatMap(({ setCookies }) => setCookies)).toHaveLength(1);
    expect((await visitor.get('/read')).json()).toEqual({ cart: ['tea'], user: 'ada' });
  });
});
