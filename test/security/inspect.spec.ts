import { inspect } from 'node:util';
import { Controller, Get, type INestApplication, Post, Req, Res } from '@nestjs/common';
import {
  Session,
  SessionAuth,
  SessionEvents,
  SessionHealthIndicator,
  SessionModule,
  Sessions,
  SessionStore,
} from 'nest-session';
import { RequestSessions } from '../../lib/http/request-sessions.js';
import { RESOLVED_SESSION_OPTIONS, SESSION_COOKIE_CODEC, SESSION_OPTIONS } from '../../lib/tokens.js';
import { Browser } from '../support/browser.js';
import { platforms, SECRET, startApp, type TestApp } from '../support/http-app.js';
import { keyOfCookie } from '../support/laws.js';
import type { AnySession } from '../support/stage.js';

const VALUE = 'the visitor’s diagnosis';
const PEOPLE = { findById: async (id: string) => ({ id }), idOf: ({ id }: { id: string }) => id };

/** As careless and as curious people print. */
function printsOf(thing: object): string[] {
  const shows = [
    () => inspect(thing, { depth: 12, showHidden: true, customInspect: false, maxStringLength: null }),
    () => inspect(thing, { depth: 12, getters: false, customInspect: false }),
    () => inspect(thing, { depth: 12 }),
    () => JSON.stringify(thing),
    () => inspect({ ...thing }, { depth: 12, customInspect: false }),
    () => inspect(structuredClone(thing), { depth: 12 }),
  ];
  return shows.map((show) => {
    try {
      return show();
    } catch (error) {
      return String(error); // circular, or cannot be cloned
    }
  });
}

@Controller()
class Pages {
  shown: string[][] = [];

  @Post('write')
  write(@Session() session: AnySession) {
    session.set('secret', VALUE);
  }

  @Get('show')
  show(
    @Session() session: AnySession,
    @Req() request: { raw?: object },
    @Res({ passthrough: true }) response: { raw?: object },
  ) {
    session.get('secret');
    this.shown = [session, request.raw ?? request, response.raw ?? response].map(printsOf);
    return {};
  }
}

describe.each(platforms)('printing shows neither id nor key nor value nor secret · %s', (platform) => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startApp({
      platform,
      controllers: [Pages],
      session: { auth: { users: { useValue: PEOPLE } } },
    });
  });
  afterAll(() => app.close());

  it('of the session, the request and the response, also with customInspect: false', async () => {
    const browser = new Browser(app.url);
    await browser.post('/write');
    const cookie = String(await browser.cookie('sessionid'));
    const key = keyOfCookie(cookie);
    await browser.get('/show');
    const shown = app.get<Pages>(Pages).shown.flat().join('\n').replaceAll(cookie, 'the cookie header');
    expect(shown.length).toBeGreaterThan(1_000);
    for (const secret of [cookie.split('.')[0], key, VALUE, SECRET]) expect(shown).not.toContain(secret);
  });

  it.each([
    ['SessionModule', SessionModule],
    ['SessionAuth', SessionAuth],
    ['SessionEvents', SessionEvents],
    ['SessionHealthIndicator', SessionHealthIndicator],
    ['Sessions', Sessions],
    ['SessionStore', SessionStore],
    ['RequestSessions', RequestSessions],
    ['the options', SESSION_OPTIONS],
    ['the complete options', RESOLVED_SESSION_OPTIONS],
    ['the cookie codec', SESSION_COOKIE_CODEC],
  ])('of %s', async (_, token) => {
    const browser = new Browser(app.url);
    await browser.post('/write');
    const key = keyOfCookie(String(await browser.cookie('sessionid')));
    const shown = printsOf((app as unknown as INestApplication).get<object>(token)).join('\n');
    for (const secret of [key, VALUE, SECRET]) expect(shown.includes(secret)).toBe(false);
  });

  it('of the module as it is imported', () => {
    const shown = printsOf(SessionModule.forRoot({ store: SessionStore as never, secret: SECRET })).join(
      '\n',
    );
    expect(shown).not.toContain(SECRET);
  });
});
