import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import {
  Body,
  Controller,
  ForbiddenException,
  Get,
  Header,
  HttpCode,
  Post,
  Query,
  Redirect,
  Req,
  Res,
} from '@nestjs/common';
import { parseCookie } from 'cookie';
import type { Response } from 'express';
import type { FastifyReply } from 'fastify';
import {
  CsrfExempt,
  safeNext,
  Session,
  SessionAuth,
  type SessionCookieOptions,
  type SessionUserProvider,
} from 'nest-session';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.js';
import { SiteBrowser } from '../support/site-browser.js';

/** Logins by OAuth and OpenID Connect, as docs/oauth.md describes them. */
const SHOP = 'https://shop.example';
const SESSION_COOKIE = '__Host-sessionid';
const LOGIN_COOKIE = '__Host-login';

type AnySession = Session<Record<string, unknown>>;
type Answer = Record<string, string>;
interface Begun {
  readonly verifier: string;
  readonly next: string;
}

let provider: IdentityProvider;
beforeAll(async () => {
  provider = await startIdentityProvider();
});
afterAll(() => provider.close());

interface User {
  readonly name: string;
}

/** Whoever the provider vouches for. */
class ProviderUsers implements SessionUserProvider<User> {
  findById(name: string): User {
    return { name };
  }

  idOf({ name }: User): string {
    return name;
  }
}

async function exchange(code: string, verifier: string): Promise<User> {
  const body = new URLSearchParams({ code, code_verifier: verifier });
  const answer = await fetch(`${provider.url}/token`, { method: 'POST', body });
  if (!answer.ok) throw new ForbiddenException('The provider does not know this code.');
  return { name: ((await answer.json()) as { sub: string }).sub };
}

function begin(state: string, verifier: string, callback: string, query: Record<string, string>): string {
  const parameters = {
    ...{ state, redirect_uri: SHOP + callback, response_mode: query.mode, login_hint: query.as },
    ...{ code_challenge: hash('sha256', verifier, 'base64url'), code_challenge_method: 'S256' },
  };
  return `https://id.example/authorize?${new URLSearchParams(parameters).toString()}`;
}

const newSecret = () => randomBytes(32).toString('base64url');

/** (a) The state is in the session. Whatever the provider sends, the login ends in a request of our own site. */
@Controller('oauth')
class Login {
  constructor(private readonly auth: SessionAuth<User>) {}

  @Get('login')
  @Redirect()
  login(@Session() session: AnySession, @Query() query: Record<string, string>) {
    const [state, verifier] = [newSecret(), newSecret()];
    // A value for each login, so that two tabs do not overwrite each other.
    session.set(`login:${state}`, { verifier, next: safeNext(query.next) });
    return { statusCode: 303, url: begin(state, verifier, query.callback, query) };
  }

  /** The session cookie is absent here, so the session is not touched: a new one would replace the browser's cookie. */
  @Post('callback')
  @CsrfExempt() // the provider's page sends it; `state` says whether we asked for that
  @Redirect()
  carryOn(@Body() { code, state }: Answer) {
    return { statusCode: 303, url: `/oauth/finish?${new URLSearchParams({ code, state }).toString()}` };
  }

  @Get('finish')
  @Header('Referrer-Policy', 'no-referrer') // the code stands in the URL
  @Redirect()
  finishByGet(@Session() session: AnySession, @Query() answer: Answer) {
    return this.#finish(session, answer);
  }

  /** The same for a Strict cookie, which comes only where a page of our own leads: one that submits itself. */
  @Post('callback-page')
  @CsrfExempt()
  @HttpCode(200)
  @Header('Content-Type', 'text/html')
  page(@Body() { code, state }: Answer) {
    const fields = [field('code', code), field('state', state)].join('');
    return `<form method="post" action="/oauth/finish">${fields}<button>Carry on</button></form>`;
  }

  @Post('finish')
  @Redirect()
  finishByPost(@Session() session: AnySession, @Body() answer: Answer) {
    return this.#finish(session, answer);
  }

  async #finish(session: AnySession, { code, state }: Answer) {
    const begun = session.pop(`login:${state}`) as Begun | undefined; // good once
    if (!begun) throw new ForbiddenException('This login did not begin here, or it is over.');
    const user = await exchange(code, begun.verifier);
    await this.auth.login(session, user);
    return { statusCode: 303, url: begun.next };
  }

  @Post('callback-guarded')
  guarded() {
    return {};
  }
}

/** (b) The state is in a cookie of the application's own, which comes along from everywhere. */
@Controller('cookie')
class LoginByCookie {
  constructor(private readonly auth: SessionAuth<User>) {}

  @Get('login')
  @Redirect()
  login(
    @Query() query: Record<string, string>,
    @Res({ passthrough: true }) response: Response | FastifyReply,
  ) {
    const [state, verifier] = [newSecret(), newSecret()];
    setCookie(
      response,
      `${LOGIN_COOKIE}=${state}.${verifier}; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=None`,
    );
    return { statusCode: 303, url: begin(state, verifier, '/cookie/callback', query) };
  }

  @Post('callback')
  @CsrfExempt()
  @Redirect()
  async callback(
    @Session() session: AnySession,
    @Body() { code, state }: Answer,
    @Req() { headers }: IncomingMessage,
    @Res({ passthrough: true }) response: Response | FastifyReply,
  ) {
    const [begun = '', verifier = ''] = parseCookie(headers.cookie ?? '')[LOGIN_COOKIE]?.split('.') ?? [];
    if (begun === '' || !isSame(begun, state)) throw new ForbiddenException('This login did not begin here.');
    setCookie(response, `${LOGIN_COOKIE}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None`);
    const user = await exchange(code, verifier);
    await this.auth.login(session, user);
    return { statusCode: 303, url: '/me' };
  }
}

@Controller()
class Pages {
  @Get('cart')
  cart(@Session() session: AnySession) {
    session.set('cart', 'tea');
    return {};
  }

  @Get('me')
  me(@Session() session: AnySession) {
    return { user: session.userId ?? null, cart: session.get('cart') ?? null, handle: session.handle };
  }
}

function field(name: string, value: string): string {
  const safe = value.replace(/&/g, '&amp;').replace(/"/g, '&quot;').replace(/</g, '&lt;');
  return `<input type="hidden" name="${name}" value="${safe}">`;
}

function setCookie(response: Response | FastifyReply, cookie: string): void {
  if ('raw' in response) void response.header('Set-Cookie', cookie);
  else response.append('Set-Cookie', cookie);
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [one, String(other)].map((each) => Buffer.from(hash('sha256', each)));
  return timingSafeEqual(a, b);
}

describe.each(platforms)('a login by a provider that posts its answer · %s', (platform) => {
  const apps: TestApp[] = [];
  afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));

  async function start(cookie: SessionCookieOptions = {}) {
    const controllers = [Login, LoginByCookie, Pages];
    // Stricter than needed: requests without a session are judged too.
    const session = { cookie, csrf: { everyone: true }, auth: { users: ProviderUsers } };
    const app = await startApp({ platform, controllers, session, trustsProxy: true });
    apps.push(app);
    const browser = () => new SiteBrowser({ 'shop.example': app.url, 'id.example': provider.url });
    return { app, browser };
  }

  const loginUrl = (callback: string, more: Record<string, string> = {}) => {
    const query = { callback, mode: 'form_post', as: 'ada', next: '/me', ...more };
    return `${SHOP}/oauth/login?${new URLSearchParams(query).toString()}`;
  };
  const sentSession = ({ cookie }: { cookie: string }) => cookie.includes(`${SESSION_COOKIE}=`);

  it('has no Lax cookie with the form, but with a redirect, and no Strict one with either', async () => {
    const came: Record<string, boolean> = {};
    for (const sameSite of ['lax', 'strict'] as const) {
      const browser = (await start({ sameSite })).browser();
      await browser.open(loginUrl('/oauth/callback'));
      await browser.submit();
      for (const visit of browser.visits)
        came[`${sameSite} ${new URL(visit.url).pathname}`] = sentSession(visit);
    }
    expect(came).toMatchObject({
      ...{ 'lax /oauth/callback': false, 'lax /oauth/finish': true },
      ...{ 'strict /oauth/callback': false, 'strict /oauth/finish': false },
    });
  });

  it('needs nothing of all this where the provider answers by a redirect (response_mode=query)', async () => {
    const browser = (await start()).browser();
    await browser.open(`${SHOP}/cart`);
    await browser.open(loginUrl('/oauth/finish', { mode: 'query' }));
    expect(browser.page.url).toBe(`${SHOP}/me`);
    expect(JSON.parse(browser.page.text)).toMatchObject({ user: 'ada', cart: 'tea' });
  });

  it('carries on as a GET: the session is there, with its data, under a new id', async () => {
    const browser = (await start()).browser();
    await browser.open(`${SHOP}/cart`);
    await browser.open(`${SHOP}/me`);
    const { handle } = JSON.parse(browser.page.text) as { handle: string };
    const before = await browser.cookie(SHOP, SESSION_COOKIE);

    await browser.open(loginUrl('/oauth/callback'));
    await browser.submit();

    expect(browser.page.url).toBe(`${SHOP}/me`);
    expect(JSON.parse(browser.page.text)).toEqual({ user: 'ada', cart: 'tea', handle });
    const after = await browser.cookie(SHOP, SESSION_COOKIE);
    expect([after === undefined, after === before]).toEqual([false, false]);
    // The form itself touched no session: nothing to vary by, no cookie that moved.
    const form = browser.visits.find(({ url }) => url.endsWith('/callback'));
    expect([form?.status, form?.setCookies]).toEqual([303, []]);
    expect(form?.headers.vary ?? '').not.toContain('Cookie');
  });

  it('is refused when the form comes a second time, and when the finish is loaded again', async () => {
    const browser = (await start()).browser();
    await browser.open(loginUrl('/oauth/callback'));
    const form = browser.page;
    await browser.submit(form);
    const finish = browser.visits.find(({ url }) => url.includes('/finish'))?.url ?? '';
    for (const answer of [await browser.submit(form), await browser.open(finish)]) {
      expect(answer.status).toBe(403);
      expect(answer.text).toContain('did not begin here');
    }
    expect(JSON.parse((await browser.open(`${SHOP}/me`)).text)).toMatchObject({ user: 'ada' });
  });

  it('keeps the state of a login in another tab, while the first one changes the id', async () => {
    const browser = (await start()).browser();
    await browser.open(loginUrl('/oauth/callback', { as: 'ada' }));
    const first = browser.page;
    await browser.open(loginUrl('/oauth/callback', { as: 'ada', next: '/me?tab=2' }));
    const second = browser.page;

    for (const [form, next] of [
      [first, '/me'],
      [second, '/me?tab=2'],
    ] as const) {
      const answer = await browser.submit(form);
      expect(answer.url).toBe(SHOP + next);
      expect(JSON.parse(answer.text)).toMatchObject({ user: 'ada' });
    }
  });

  it('starts from nothing for somebody else: a login in another tab has to begin again', async () => {
    const browser = (await start()).browser();
    await browser.open(loginUrl('/oauth/callback', { as: 'ada' }));
    await browser.submit();
    await browser.open(`${SHOP}/cart`);
    await browser.open(loginUrl('/oauth/callback', { as: 'grace' }));
    const first = browser.page;
    await browser.open(loginUrl('/oauth/callback', { as: 'ada' }));
    const second = browser.page;

    expect(JSON.parse((await browser.submit(first)).text)).toMatchObject({ user: 'grace', cart: null });
    expect((await browser.submit(second)).status).toBe(403);
    expect(JSON.parse((await browser.open(`${SHOP}/me`)).text)).toMatchObject({ user: 'grace' });
  });

  it('carries on by a page of its own that submits itself, where the cookie is Strict', async () => {
    const browser = (await start({ sameSite: 'strict' })).browser();
    await browser.open(`${SHOP}/cart`);
    await browser.open(loginUrl('/oauth/callback-page'));
    const page = await browser.submit();
    expect([sentSession(page), page.setCookies]).toEqual([false, []]);
    const finish = await browser.submit();
    expect(sentSession(browser.visits[browser.visits.indexOf(finish) - 1])).toBe(true);
    expect(JSON.parse(finish.text)).toMatchObject({ user: 'ada', cart: 'tea' });
  });

  it('can keep the state in a SameSite=None cookie of its own, but leaves the anonymous session behind', async () => {
    const browser = (await start()).browser();
    await browser.open(`${SHOP}/cart`);
    await browser.open(`${SHOP}/cookie/login?mode=form_post&as=ada`);
    await browser.submit();

    const form = browser.visits.find(({ url }) => url.endsWith('/cookie/callback'));
    expect([form && sentSession(form), form?.cookie.includes(LOGIN_COOKIE)]).toEqual([false, true]);
    expect(JSON.parse(browser.page.text)).toMatchObject({ user: 'ada', cart: null });
    expect(await browser.cookie(SHOP, LOGIN_COOKIE)).toBeUndefined();
  });

  it.each([
    ['in the session', loginUrl('/oauth/callback')],
    ['in a cookie', `${SHOP}/cookie/login?mode=form_post&as=ada`],
  ])(
    'logs nobody in as an attacker, who sends the form of a login of their own (state %s)',
    async (_, url) => {
      const { browser } = await start();
      const attacker = browser();
      await attacker.open(url.replace('as=ada', 'as=mallory'));
      const victim = browser();
      await victim.open(`${SHOP}/cart`);
      await victim.open(url); // a login of the victim's own is under way
      const before = await victim.cookie(SHOP, SESSION_COOKIE);

      const answer = await victim.submit(attacker.page);

      expect([answer.status, answer.setCookies]).toEqual([403, []]);
      expect(answer.text).toContain('did not begin here');
      expect(await victim.cookie(SHOP, SESSION_COOKIE)).toBe(before);
      expect(JSON.parse((await victim.open(`${SHOP}/me`)).text)).toMatchObject({ user: null, cart: 'tea' });
    },
  );

  it.each(['', 'guessed', '__proto__', 'constructor'])(
    'is refused with a state that nobody issued: %j',
    async (state) => {
      const browser = (await start()).browser();
      await browser.open(`${SHOP}/cart`);
      for (const path of ['/oauth/callback', '/cookie/callback']) {
        const body = new URLSearchParams({ code: 'any', state });
        expect((await browser.post(SHOP + path, body, 'https://id.example/')).status).toBe(403);
      }
      expect((await browser.open(`${SHOP}/oauth/finish?code=any&state=${state}&state=x`)).status).toBe(403);
    },
  );

  it('needs @CsrfExempt() on the callback, and nowhere else', async () => {
    const browser = (await start()).browser();
    await browser.open(loginUrl('/oauth/callback-guarded'));
    const answer = await browser.submit();
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      403,
      expect.objectContaining({ code: 'SESSION_CSRF' }),
    ]);
    const forged = await browser.post(
      `${SHOP}/oauth/finish`,
      new URLSearchParams({ code: 'a', state: 'b' }),
      'https://evil.example/',
    );
    expect(JSON.parse(forged.text)).toMatchObject({ code: 'SESSION_CSRF' });
  });
});
