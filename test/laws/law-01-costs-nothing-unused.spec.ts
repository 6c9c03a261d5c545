import { Controller, Get, Req, Res } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { Session } from 'nest-session';
import { describeLaw } from '../support/laws.js';

type Data = Session<{ views: number }>;

@Controller()
class Pages {
  @Get('unused')
  unused() {
    return 'a page';
  }

  @Get('touches-the-property')
  touchesTheProperty(@Req() request: { session: Data }) {
    return typeof request.session;
  }

  @Get('looks')
  looks(@Req() { session }: { session: Data }) {
    return looksAt(session);
  }

  @Get('read')
  read(@Session() session: Data) {
    return {
      views: session.get('views') ?? 0,
      size: session.size,
      keys: [...session.keys()],
      has: session.has('views'),
    };
  }

  @Get('empty-again')
  emptyAgain(@Session() session: Data) {
    session.set('views', 1);
    session.delete('views');
    return {};
  }

  @Get('expiry-only')
  expiryOnly(@Session() session: Data) {
    session.setExpiry('5m');
    session.cycleId();
    return {};
  }

  /** What Django's `create()` is for: a visitor who can be told again, of whom nothing is known. */
  @Get('save-empty')
  async saveEmpty(@Session() session: Data) {
    await session.save();
    return whoIs(session);
  }

  @Get('who')
  who(@Session() session: Data) {
    return whoIs(session);
  }

  @Get('save-empty-late')
  async saveEmptyLate(@Session() session: Data, @Res() response: AnyResponse) {
    const raw = response.raw ?? response;
    raw.write('begun ');
    raw.end(await session.save().then(String, codeOf));
  }

  @Get('write')
  write(@Session() session: Data) {
    session.set('views', (session.get('views') ?? 0) + 1);
    return {};
  }
}

const whoIs = ({ handle, isNew, isEmpty, modified }: Data) => ({ handle, isNew, isEmpty, modified });
/** What a middleware may ask of a session that nobody has loaded. */
const looksAt = (session: Data) =>
  Object.fromEntries(
    (['accessed', 'modified', 'isNew', 'isEmpty'] as const).map((name) => {
      try {
        return [name, session[name]];
      } catch (error) {
        return [name, codeOf(error)];
      }
    }),
  );
const codeOf = (error: unknown) => String((error as { code?: unknown }).code);

type RawResponse = Pick<ServerResponse, 'write' | 'end'>;
/** Express's response, which is Node's, or Fastify's reply, which has it. */
type AnyResponse = RawResponse & { readonly raw?: RawResponse };

describeLaw('law 1: costs nothing unused', { controllers: [Pages] }, (law) => {
  it('asks no store and says nothing for a visitor without a cookie', async () => {
    law.forget();
    const answer = await law.visitor().get('/unused');
    expect(answer.status).toBe(200);
    expect(law.commands).toEqual([]);
    expect(answer.setCookies).toEqual([]);
    expect(answer.headers.get('vary')).toBeNull();
    expect(answer.headers.get('cache-control')).toBeNull();
  });

  it('asks no store and says nothing for a visitor with a session', async () => {
    const visitor = law.visitor();
    await visitor.get('/write');
    law.forget();
    const answer = await visitor.get('/unused');
    expect(law.commands).toEqual([]);
    expect(answer.setCookies).toEqual([]);
    expect(answer.headers.get('vary')).toBeNull();
    expect(answer.headers.get('cache-control')).toBeNull();
  });

  it('costs nothing to look whether request.session is there', async () => {
    const visitor = law.visitor();
    await visitor.get('/write');
    law.forget();
    const answer = await visitor.get('/touches-the-property');
    expect(answer.text).toContain('object');
    expect(law.commands).toEqual([]);
    expect(answer.headers.get('vary')).toBeNull();
  });

  it.each(['no cookie', 'a cookie that nobody signed'])(
    'tells for nothing what is known of a session that is not loaded: with %s',
    async (what) => {
      law.forget();
      const cookie = what === 'no cookie' ? undefined : { cookie: 'sessionid=' + 'a.'.repeat(43) };
      const answer = await law.visitor().get('/looks', cookie);
      expect(answer.json()).toEqual({ accessed: false, modified: false, isNew: true, isEmpty: true });
      expect([law.commands, answer.setCookies, answer.headers.get('vary')]).toEqual([[], [], null]);
    },
  );

  it('asks for a load where a session that is not loaded may have anything in it', async () => {
    const visitor = law.visitor();
    await visitor.get('/write');
    law.forget();
    const answer = await visitor.get('/looks');
    const isUnknown = 'SESSION_NOT_LOADED';
    expect(answer.json()).toEqual({
      accessed: false,
      modified: false,
      isNew: isUnknown,
      isEmpty: isUnknown,
    });
    expect([law.commands, answer.setCookies, answer.headers.get('vary')]).toEqual([[], [], null]);
  });

  it('gives an anonymous reader no cookie and no row, however often', async () => {
    const visitor = law.visitor();
    law.forget();
    for (let i = 0; i < 3; i++) {
      const answer = await visitor.get('/read');
      expect(answer.json()).toEqual({ views: 0, size: 0, keys: [], has: false });
      expect(answer.setCookies).toEqual([]);
    }
    expect(law.commands).toEqual([]);
  });

  it.each(['/empty-again', '/expiry-only'])('starts no session where no value is left: %s', async (path) => {
    law.forget();
    const answer = await law.visitor().get(path);
    expect(answer.status).toBe(200);
    expect(law.commands).toEqual([]);
    expect(answer.setCookies).toEqual([]);
  });

  it('gives who asks for it by save() a session without a value, under a name that stays', async () => {
    const visitor = law.visitor();
    law.forget();
    const first = await visitor.get('/save-empty');
    expect(first.json()).toMatchObject({ isNew: false, isEmpty: true, modified: false });
    expect([law.commands, first.setCookies.length]).toEqual([['create'], 1]);

    const { handle } = first.json();
    expect((await visitor.get('/who')).json()).toMatchObject({ handle, isNew: false, isEmpty: true });
    law.forget();
    expect((await visitor.get('/save-empty')).json()).toMatchObject({ handle });
    expect(law.commands).toEqual(['load']);
    await visitor.get('/write');
    expect((await visitor.get('/read')).json()).toMatchObject({ views: 1 });
  });

  it('refuses to give it when the cookie can not be sent any more', async () => {
    law.forget();
    expect((await law.visitor().get('/save-empty-late')).text).toBe('begun SESSION_HEADERS_SENT');
    expect(law.commands).toEqual([]);
  });

  it('costs a reader one command, and a writer two', async () => {
    const visitor = law.visitor();
    await visitor.get('/write');
    law.forget();
    await visitor.get('/read');
    expect(law.commands).toEqual(['load']);
    law.forget();
    await visitor.get('/write');
    expect(law.commands).toEqual(['load', 'save']);
  });
});
