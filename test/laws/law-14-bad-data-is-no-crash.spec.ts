import { jest } from '@jest/globals';
import { Controller, Get, Logger, Post } from '@nestjs/common';
import { Session, SessionEvents, type SessionRecord } from 'nest-session';
import { type Command, describeLaw, failing, keyOfCookie, once } from '../support/laws.js';

type Data = Session<{ views: number }>;

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: Data) {
    session.set('views', 1);
    return {};
  }

  @Get('read')
  read(@Session() session: Data) {
    return { views: session.get('views') ?? null };
  }

  @Post('write')
  write(@Session() session: Data) {
    session.set('views', 2);
    return {};
  }

  @Post('flush')
  async flush(@Session() session: Data) {
    await session.flush();
    return {};
  }
}

describeLaw('law 14: bad data is no crash', { controllers: [Pages] }, (law) => {
  const visitorWithSession = async () => {
    const visitor = law.visitor();
    await visitor.post('/start');
    const key = keyOfCookie(await visitor.cookie('sessionid'));
    return { visitor, key, record: (await law.store.load(key)) as SessionRecord };
  };
  /** The next load answers with this. */
  const loads = (record: SessionRecord) => once(law.store, 'load', (() => Promise.resolve(record)) as never);

  it('goes on with an empty session when stored data is corrupt, and warns with the handle', async () => {
    const { visitor, record } = await visitorWithSession();
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const seen: unknown[] = [];
    const off = law.app.get<SessionEvents>(SessionEvents).on('corrupt', (event) => seen.push(event));
    const unreadable: SessionRecord[] = [
      { ...record, values: {}, corrupt: true as const },
      { ...record, values: { views: '{"a' } },
    ];
    for (const record of unreadable) {
      loads(record);
      const answer = await visitor.get('/read');
      expect([answer.status, answer.json()]).toEqual([200, { views: null }]);
    }
    off();
    const warnings = warn.mock.calls.map(([text]) => String(text));
    warn.mockRestore();
    expect(seen).toEqual([{ handle: record.handle }, { handle: record.handle }]);
    expect(warnings).toEqual([expect.stringContaining(record.handle)]);
  });

  it('can be written again afterwards', async () => {
    const { visitor, record } = await visitorWithSession();
    loads({ ...record, values: { views: 'no JSON' } });
    expect((await visitor.post('/write')).status).toBe(201);
    expect((await visitor.get('/read')).json()).toEqual({ views: 2 });
  });

  it.each<[Command, string, string]>([
    ['load', 'GET', '/read'],
    ['save', 'POST', '/write'],
    ['delete', 'POST', '/flush'],
  ])('never takes a store that fails to %s for an anonymous visitor', async (command, method, path) => {
    const { visitor } = await visitorWithSession();
    once(law.store, command, failing);
    const answer = await visitor.request(method, path);
    expect([answer.status, answer.setCookies]).toEqual([503, []]);
    expect((await visitor.get('/read')).json()).toEqual({ views: 1 });
  });

  it('refuses a record of a newer release with a 503 and an event, and leaves it', async () => {
    const { visitor, record } = await visitorWithSession();
    const seen: unknown[] = [];
    const off = law.app.get<SessionEvents>(SessionEvents).on('newerFormat', (event) => seen.push(event));
    for (const [method, path] of [
      ['GET', '/read'],
      ['POST', '/write'],
      ['POST', '/flush'],
    ]) {
      loads({ ...record, format: 99 });
      law.forget();
      const answer = await visitor.request(method, path);
      expect([answer.status, answer.setCookies]).toEqual([503, []]);
      expect(law.commands.filter((command) => command !== 'load')).toEqual([]);
    }
    off();
    expect(seen).toHaveLength(3);
    expect((await visitor.get('/read')).json()).toEqual({ views: 1 });
  });
});
