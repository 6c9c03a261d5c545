import { Body, Controller, Get, Post, Query } from '@nestjs/common';
import { Session, SessionEvents } from 'nest-session';
import { describeLaw, keyOfCookie } from '../support/laws.js';

type Data = Session<{ owner: string }>;

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: Data, @Query('owner') owner: string) {
    session.set('owner', owner);
    return {};
  }

  @Get('read')
  read(@Session() session: Data) {
    return { owner: session.get('owner') ?? null, isNew: session.isNew };
  }

  @Post('read')
  readPosted(@Session() session: Data, @Body() _: unknown) {
    return { owner: session.get('owner') ?? null };
  }

  @Post('flush')
  async flush(@Session() session: Data) {
    await session.flush();
    return {};
  }
}

const NOBODY = { owner: null, isNew: true };

describeLaw('law 7: only ids of ours come in', { controllers: [Pages] }, (law) => {
  const sessionOf = async (owner: string) => {
    const visitor = law.visitor();
    await visitor.post(`/start?owner=${owner}`);
    return String(await visitor.cookie('sessionid'));
  };
  const read = (cookie: string) => law.visitor().get('/read', { cookie });

  it('adopts no id that it did not make: a signed but unknown one is left, and a write makes another', async () => {
    const cookie = await sessionOf('ada');
    law.app.clock.advance('31d');
    const visitor = law.visitor();
    const answer = await visitor.post('/start?owner=eve', { cookie: `sessionid=${cookie}` });
    expect(answer.setCookies).toHaveLength(1);
    expect((await visitor.cookie('sessionid'))?.split('.')[0]).not.toBe(cookie.split('.')[0]);
    expect(await law.store.load(keyOfCookie(cookie))).toBeUndefined();
  });

  it('takes no id from the query string, a body or the value of another cookie', async () => {
    const cookie = await sessionOf('ada');
    const [id] = cookie.split('.');
    law.forget();
    for (const value of [cookie, id]) {
      expect((await law.visitor().get(`/read?sessionid=${value}`)).json()).toEqual(NOBODY);
      const posted = await law.visitor().request('POST', '/read', {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `sessionid=${value}`,
      });
      expect(posted.json()).toEqual({ owner: null });
      expect((await read(`other=${value}`)).json()).toEqual(NOBODY);
      expect((await read(`other="sessionid=${value}"`)).json()).toEqual(NOBODY);
      expect((await read(`x-sessionid=${value}`)).json()).toEqual(NOBODY);
    }
    expect(law.commands).toEqual([]);
  });

  it('takes neither the key nor the handle for an id', async () => {
    const cookie = await sessionOf('ada');
    const key = keyOfCookie(cookie);
    const handle = (await law.store.load(key))?.handle;
    law.forget();
    for (const value of [key, handle, `${key}.${cookie.split('.')[1]}`])
      expect((await read(`sessionid=${value}`)).json()).toEqual(NOBODY);
    expect(law.commands).toEqual([]);
  });

  it('takes the value under exactly this name', async () => {
    const cookie = await sessionOf('ada');
    law.forget();
    for (const name of [
      'SESSIONID',
      '%73essionid',
      '__Host-sessionid',
      '__host-sessionid',
      '=sessionid',
      'sessionid ',
    ])
      expect((await read(`${name}=${cookie}`)).json()).toEqual(NOBODY);
    expect(law.commands).toEqual([]);
    expect((await read(`a=b;  sessionid=${cookie} ; c=d`)).json()).toEqual({ owner: 'ada', isNew: false });
  });

  it('believes one of two cookies when the other is garbage, or the same again', async () => {
    const cookie = await sessionOf('ada');
    const ada = { owner: 'ada', isNew: false };
    expect((await read(`sessionid=garbage; sessionid=${cookie}`)).json()).toEqual(ada);
    expect((await read(`sessionid=${cookie}; sessionid=garbage`)).json()).toEqual(ada);
    expect((await read(`sessionid=${cookie}; sessionid=${cookie}`)).json()).toEqual(ada);
  });

  it('believes one of two cookies when the other names a dead session', async () => {
    const dead = await sessionOf('eve');
    await law.visitor().post('/flush', { cookie: `sessionid=${dead}` });
    const cookie = await sessionOf('ada');
    for (const header of [`sessionid=${dead}; sessionid=${cookie}`, `sessionid=${cookie}; sessionid=${dead}`])
      expect((await read(header)).json()).toEqual({ owner: 'ada', isNew: false });
  });

  it('believes none of two cookies that name living sessions, and an event says so', async () => {
    const [ada, eve] = [await sessionOf('ada'), await sessionOf('eve')];
    const handles = await Promise.all(
      [ada, eve].map(async (each) => (await law.store.load(keyOfCookie(each)))?.handle),
    );
    const seen: unknown[] = [];
    const off = law.app.get<SessionEvents>(SessionEvents).on('ambiguous', (event) => seen.push(event));
    const answer = await read(`sessionid=${ada}; sessionid=${eve}`);
    off();
    expect([answer.json(), answer.setCookies]).toEqual([NOBODY, []]);
    expect(seen).toEqual([{ handles }]);
  });

  it('asks nobody about more ids than a browser can have come by', async () => {
    const cookies: string[] = [];
    for (let n = 0; n < 6; n++) cookies.push(await sessionOf('ada'));
    const header = cookies.map((cookie) => `sessionid=${cookie}`).join('; ');
    law.forget();
    const answer = await read(header);
    expect([answer.json(), answer.setCookies, law.commands]).toEqual([NOBODY, [], []]);
    const flush = await law.visitor().post('/flush', { cookie: header });
    expect([flush.status, law.commands]).toEqual([201, []]);
    expect((await read(`sessionid=${cookies[5]}`)).json()).toEqual({ owner: 'ada', isNew: false });
  });

  it('ends every session that the cookies name when the visitor flushes in that state', async () => {
    const [ada, eve] = [await sessionOf('ada'), await sessionOf('eve')];
    const answer = await law.visitor().post('/flush', { cookie: `sessionid=${ada}; sessionid=${eve}` });
    expect(answer.setCookies).toEqual([expect.stringMatching(/^sessionid=; Max-Age=0;/)]);
    for (const each of [ada, eve]) expect((await read(`sessionid=${each}`)).json()).toEqual(NOBODY);
  });
});
