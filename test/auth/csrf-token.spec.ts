import { Controller, Get, Post } from '@nestjs/common';
import { Session } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { AppUsers, newPerson, People } from '../support/people.js';

@Controller()
class Forms {
  @Get('token')
  token(@Session() session: Session) {
    return { token: session.csrfToken };
  }

  @Post('transfer')
  transfer() {
    return {};
  }
}

/** Node's fetch says neither `Origin` nor `Sec-Fetch-Site`, so that the token decides. */
describe.each(platforms)('tokens of forms and logins · %s', (platform) => {
  let app: TestApp;
  let visitor: Browser;

  beforeAll(async () => {
    const session = { auth: { users: AppUsers }, csrf: { requireToken: true } };
    app = await startApp({ platform, controllers: [People, Forms], session });
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    visitor = new Browser(app.url);
    await visitor.post('/fill');
  });

  const tokenOf = async () => (await visitor.get('/token')).json<{ token: string }>().token;
  const post = (path: string, token: string) => visitor.post(path, { 'x-csrf-token': token });
  const transfer = async (token: string) => (await post('/transfer', token)).status;

  async function logIn(): Promise<void> {
    expect((await post(`/login?user=${newPerson().id}`, await tokenOf())).status).toBe(201);
  }

  it('a csrf token from before the login is refused after it', async () => {
    const before = await tokenOf();
    expect(await transfer(before)).toBe(201);
    await logIn();
    expect((await visitor.get('/read')).json()).toMatchObject({ cart: ['tea'] }); // the session went on
    expect(await transfer(before)).toBe(403);
    expect(await transfer(await tokenOf())).toBe(201);
  });

  it('a csrf token from before a confirmation is refused after it', async () => {
    await logIn();
    const before = await tokenOf();
    app.clock.advance('1s');
    expect((await post('/confirm', before)).status).toBe(201);
    expect(await transfer(before)).toBe(403);
    expect(await transfer(await tokenOf())).toBe(201);
  });

  it('a csrf token of a login is worth nothing after the logout, nor in the next login', async () => {
    await logIn();
    const before = await tokenOf();
    expect((await post('/logout', before)).status).toBe(201);
    await visitor.post('/fill');
    expect(await transfer(before)).toBe(403);
    await logIn();
    expect(await transfer(before)).toBe(403);
  });
});
