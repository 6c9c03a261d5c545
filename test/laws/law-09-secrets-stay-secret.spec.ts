import { jest } from '@jest/globals';
import { inspect } from 'node:util';
import { Controller, Get, Logger, Post, Req } from '@nestjs/common';
import { Session, SessionEvents, type SessionEventName } from 'nest-session';
import { describeLaw, failing, keyOfCookie, once } from '../support/laws.js';

type Data = Session<{ secret: string }>;
const VALUE = 'what only the visitor may know';

@Controller()
class Pages {
  seen = '';

  @Post('start')
  start(@Session() session: Data) {
    session.set('secret', VALUE);
    return {};
  }

  @Get('look')
  look(@Session() session: Data, @Req() request: object) {
    session.get('secret');
    const everything = { depth: 12, showHidden: true, showProxy: true, getters: false } as const;
    return [
      inspect(session, everything),
      inspect(session),
      [session].join(),
      JSON.stringify(session),
      inspect({ ...session }),
      inspect(session.data),
      inspect((request as { raw?: object }).raw ?? request).replace(/cookie: '[^']*'|'sessionid=[^']*'/g, ''),
    ];
  }

  @Get('return-it')
  returnIt(@Session() session: Data) {
    return session;
  }

  @Post('fail')
  fail(@Session() session: Data) {
    session.set('secret', VALUE);
    return {};
  }
}

describeLaw('law 9: secrets stay secret', { controllers: [Pages] }, (law) => {
  it('gives the store keys that are SHA-256 of the ids', async () => {
    const keys: unknown[] = [];
    const create = law.store.create.bind(law.store);
    law.store.create = (key, record) => {
      keys.push(key);
      return create(key, record);
    };
    const visitor = law.visitor();
    await visitor.post('/start');
    law.store.create = create;
    const cookie = await visitor.cookie('sessionid');
    expect(keys).toEqual([keyOfCookie(cookie)]);
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
  });

  it('shows neither id nor key nor value to inspect, JSON, a template literal or a spread', async () => {
    const visitor = law.visitor();
    await visitor.post('/start');
    const cookie = String(await visitor.cookie('sessionid'));
    const shown = [(await visitor.get('/look')).text, (await visitor.get('/return-it')).text].join('\n');
    expect(shown).not.toContain(cookie.split('.')[0]);
    expect(shown).not.toContain(keyOfCookie(cookie));
    expect(shown).not.toContain(VALUE);
    expect(shown).toContain('handle');
  });

  it('names nothing inside when the store fails: not in the answer, the log, the events', async () => {
    const logged: unknown[] = [];
    const spies = (['log', 'warn', 'error', 'debug', 'verbose', 'fatal'] as const).map((level) =>
      jest.spyOn(Logger.prototype, level).mockImplementation((...args: unknown[]) => void logged.push(args)),
    );
    const events = law.app.get<SessionEvents>(SessionEvents);
    const names: SessionEventName[] = [
      'interrupted',
      'ambiguous',
      'corrupt',
      'newerFormat',
      'storeFailed',
      'unsaved',
    ];
    const offs = names.map((name) => events.on(name, (event) => logged.push(event)));
    const visitor = law.visitor();
    await visitor.post('/start');
    const cookie = String(await visitor.cookie('sessionid'));
    const key = keyOfCookie(cookie);
    once(law.store, 'save', () => {
      const message = `Duplicate entry '${key}' for key 'session.key', data {"secret":"${VALUE}"} ${key}`;
      return Promise.reject(
        Object.assign(new Error(message), { code: 'ER_DUP', parameters: [key, VALUE], query: key }),
      );
    });
    const answer = await visitor.post('/fail');
    offs.forEach((off) => off());
    spies.forEach((spy) => spy.mockRestore());
    expect(answer.status).toBe(503);
    const shown = inspect(logged, { depth: 12, showHidden: true }) + answer.text;
    expect(shown).toContain("operation: 'save'");
    for (const secret of [cookie.split('.')[0], key, VALUE]) expect(shown).not.toContain(secret);
    expect(answer.text).not.toMatch(/DUP|Duplicate|save/);
  });

  it('keeps the driver’s error out of the answer', async () => {
    const visitor = law.visitor();
    once(law.store, 'create', failing);
    expect((await visitor.post('/start')).text).not.toContain('went away');
  });
});
