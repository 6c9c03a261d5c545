import { Controller, Get, Module, Post } from '@nestjs/common';
import type * as Library from 'nest-session';
import { Session, SessionStore } from 'nest-session';
import type * as CookieLibrary from 'nest-session/cookie';
import { type CompiledLibrary, compileLibrary } from '../support/compiled-library.js';
import { Browser } from '../support/browser.js';
import { platforms, SECRET, startApp, type TestApp, type TestAppOptions } from '../support/http-app.js';
import { AppUsers, loggedIn, newPerson, People } from '../support/people.js';

@Controller()
class Cart {
  @Post('fill') fill(@Session() session: Session) {
    session.set('cart', ['tea']);
    return {};
  }

  @Get('read') read(@Session() session: Session) {
    return session.data;
  }
}

/** An application in ES modules, and a store from a package in CommonJS: its classes are others than ours. */
describe('a store of the other build of the package', () => {
  let compiled: CompiledLibrary;
  let other: typeof Library;
  beforeAll(async () => {
    compiled = await compileLibrary();
    other = (await import(`${compiled.path}/index.js`)) as typeof Library;
  });
  afterAll(() => compiled.remove());
  let app: TestApp | undefined;
  afterEach(async () => {
    await app?.close();
    app = undefined;
  });

  /** Starts an application that is closed also where it should not have started. */
  const starts = async (options: TestAppOptions) => {
    app = await startApp(options);
  };

  it('is another one, so that this proves something', () => {
    expect(other.SessionStore).not.toBe(SessionStore);
    expect(new other.MemorySessionStore()).not.toBeInstanceOf(SessionStore);
  });

  /** Four methods, and the defaults of the other build. */
  const fourMethodStore = () => {
    class OtherStore extends other.SessionStore {
      readonly #memory = new other.MemorySessionStore();
      load = this.#memory.load.bind(this.#memory);
      create = this.#memory.create.bind(this.#memory);
      save = this.#memory.save.bind(this.#memory);
      delete = this.#memory.delete.bind(this.#memory);
    }
    return OtherStore;
  };

  describe.each(platforms)('on %s', (platform) => {
    it('keeps sessions, logins and lists of devices', async () => {
      app = await startApp({
        platform,
        controllers: [People],
        store: other.MemorySessionStore,
        session: { auth: { users: AppUsers, maxSessions: { limit: 2, onExceed: 'refuse' } } },
      });
      const person = newPerson();
      const [first, second] = [
        await loggedIn(new Browser(app.url), person),
        await loggedIn(new Browser(app.url), person),
      ];
      await first.post('/fill');
      expect((await first.get('/read')).json()).toMatchObject({ user: person.id, cart: ['tea'] });
      expect((await second.get('/devices')).json()).toHaveLength(2);
    });

    it('that finds no sessions by user is told so where maxSessions needs it', async () => {
      const starting = starts({
        platform,
        store: fourMethodStore(),
        session: { auth: { users: AppUsers, maxSessions: { limit: 1, onExceed: 'refuse' } } },
      });
      await expect(starting).rejects.toThrow(/maxSessions needs a store that finds sessions by user/);
    });
  });

  describe.each(platforms)('without an index of users, on %s', (platform) => {
    it('lets who has changed the password go on, whose other sessions end by their hash', async () => {
      app = await startApp({
        platform,
        controllers: [People],
        store: fourMethodStore(),
        session: { auth: { users: AppUsers } },
      });
      const person = newPerson();
      const [here, elsewhere] = [
        await loggedIn(new Browser(app.url), person),
        await loggedIn(new Browser(app.url), person),
      ];
      expect((await here.post('/password?to=another')).status).toBe(201);
      expect((await here.get('/read')).json()).toMatchObject({ user: person.id });
      expect((await elsewhere.get('/devices')).status).toBe(401);
    });

    it('that seals sessions into cookies keeps them there', async () => {
      const { EncryptedCookieSessions } = (await import(
        `${compiled.path}/backends/cookie/index.js`
      )) as typeof CookieLibrary;
      app = await startApp({ platform, controllers: [Cart], store: EncryptedCookieSessions });
      const browser = new Browser(app.url);
      await browser.post('/fill');
      expect((await browser.get('/read')).json()).toEqual({ cart: ['tea'] });
    });
  });

  it('its SessionModule beside ours is a second registration', async () => {
    @Module({ imports: [other.SessionModule.forRoot({ store: other.MemorySessionStore, secret: SECRET })] })
    class Legacy {}
    await expect(starts({ platform: 'express', imports: [Legacy] })).rejects.toThrow(/registered twice/);
  });
});
