import { Controller, Get } from '@nestjs/common';
import { Session } from 'nest-session';
import { sessionCookie } from 'nest-session/testing';
import request from 'supertest';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { AppUsers, newPerson, People } from '../support/people.js';
import type { AnySession } from '../support/stage.js';

@Controller()
class Pages {
  @Get('cart')
  cart(@Session() session: AnySession) {
    return { ...session.data, user: session.userId ?? null };
  }

  @Get('who')
  who(@Session() { isNew, isEmpty }: AnySession) {
    return { isNew, isEmpty };
  }
}

describe.each(platforms)('sessionCookie on %s', (platform) => {
  let app: TestApp;
  beforeAll(async () => {
    const session = { auth: { users: AppUsers } };
    app = await startApp({ platform, controllers: [Pages, People], session, trustsProxy: true });
  });
  afterAll(() => app.close());

  const get = (path: string, cookie: string) => request(app.url).get(path).set('Cookie', cookie);

  it('is the cookie of a session with these values', async () => {
    const cookie = await sessionCookie(app.app, { cart: ['tea'] });
    const { body } = await get('/cart', cookie).expect(200);
    expect(body).toEqual({ cart: ['tea'], user: null });
    await get('/me', cookie).expect(401);
  });

  it('logs a user in', async () => {
    const person = newPerson();
    const cookie = await sessionCookie(app.app, {}, { userId: person.id });
    const { body } = await get('/me', cookie).expect(200);
    expect(body).toEqual({ id: person.id, name: person.name });
  });

  it('is a session of its own each time', async () => {
    const [one, other] = [await sessionCookie(app.app, { n: 1 }), await sessionCookie(app.app, { n: 2 })];
    expect([(await get('/cart', one)).body.n, (await get('/cart', other)).body.n]).toEqual([1, 2]);
  });

  it('has the name that the application looks for over HTTPS', async () => {
    const cookie = await sessionCookie(app.app, { n: 1 }, { secure: true });
    expect(cookie).toMatch(/^__Host-/);
    const { body } = await get('/cart', cookie).set('X-Forwarded-Proto', 'https').expect(200);
    expect(body.n).toBe(1);
  });

  it('is a session also without a value', async () => {
    const cookie = await sessionCookie(app.app);
    expect((await get('/who', cookie).expect(200)).body).toEqual({ isNew: false, isEmpty: true });
  });
});
