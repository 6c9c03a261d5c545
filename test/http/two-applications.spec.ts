import { Controller, Get, type INestApplication, Post, Query, Render, Req } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import {
  Authenticated,
  CurrentUser,
  MemorySessionStore,
  Session,
  SessionAuth,
  SessionModule,
  type SessionModuleOptions,
  type SessionUserProvider,
} from 'nest-session';
import express from 'express';
import type { AddressInfo } from 'node:net';
import { Browser } from '../support/browser.js';
import { failureLog } from '../support/failure-log.js';
import type { AnySession } from '../support/stage.js';
import { useViews } from '../support/views.js';

interface User {
  id: string;
  of: string;
}

/** Each application has a number 1, and they are not the same. */
const usersOf = (of: string) =>
  class implements SessionUserProvider<User> {
    findById(id: string) {
      return { id, of };
    }
    idOf({ id }: User) {
      return id;
    }
  };

@Controller()
class Pages {
  constructor(private readonly auth: SessionAuth<User>) {}

  @Post('login')
  async login(@Session() session: AnySession) {
    await this.auth.login(session, { id: '1', of: '' });
    return {};
  }

  @Get('me')
  @Authenticated()
  me(@CurrentUser() user: User, @Req() request: { user: User }) {
    return [user.of, request.user.of];
  }

  @Post('note')
  note(@Session() session: AnySession, @Query('text') text: string) {
    session.set('note', text);
    return {};
  }

  @Get('notes')
  async notes(@Session() session: AnySession, @Req() request: { session: AnySession }) {
    return [session.get('note') ?? null, (await request.session.load()).get('note') ?? null];
  }

  @Get('page') @Render('page') page() {}
}

interface Middleware {
  use(...args: unknown[]): void;
}

async function createApp(
  name: string,
  adapter: ExpressAdapter,
  options: Partial<SessionModuleOptions> = {},
): Promise<INestApplication> {
  const module = await Test.createTestingModule({
    imports: [
      SessionModule.forRoot({
        store: MemorySessionStore,
        secret: `the secret of ${name}, of more than 32 characters`,
        cookie: { name },
        auth: { users: usersOf(name) },
        ...options,
      }),
    ],
    controllers: [Pages],
  }).compile();
  return module.createNestApplication(adapter, { logger: failureLog });
}

describe('two applications in one process', () => {
  const open: INestApplication[] = [];
  afterEach(async () => {
    for (const app of open.splice(0)) await app.close();
  });

  // On one instance of Fastify Nest itself refuses the second.
  it('on one instance of Express are refused at the start: a request does not tell whose session it has', async () => {
    const instance = express();
    const front = await createApp('front', new ExpressAdapter(instance));
    open.push(front);
    await front.init();
    const back = await createApp('back', new ExpressAdapter(instance));
    await expect(back.init()).rejects.toThrow(/Two applications .* one Express or Fastify instance/);
  });

  it('may follow each other on one instance of Express', async () => {
    const instance = express();
    for (const name of ['first', 'second']) {
      const app = await createApp(name, new ExpressAdapter(instance));
      await app.init();
      await app.close();
    }
  });

  describe.each(['lazy', 'eager'] as const)('one mounted in the other, load: %s', (load) => {
    let visitor: Browser;
    beforeEach(async () => {
      const admin = await createApp('staff', new ExpressAdapter(), { load });
      const shop = await createApp('customer', new ExpressAdapter(), { load });
      for (const app of [admin, shop])
        await useViews(app, 'express', { page: '<%= user ? user.of : "nobody" %> <%= session.note %>' });
      await admin.init();
      // The shop uses its session first.
      (shop as unknown as Middleware).use(
        async (request: { session: AnySession; url: string }, _: unknown, next: () => void) => {
          await request.session.load();
          if (request.url.includes('seen')) request.session.set('seen', true);
          next();
        },
      );
      (shop as unknown as Middleware).use('/admin', admin.getHttpAdapter().getInstance());
      await shop.listen(0, '127.0.0.1');
      open.push(shop, admin);
      visitor = new Browser(`http://127.0.0.1:${(shop.getHttpServer().address() as AddressInfo).port}`);
    });

    it('no guard admits who is logged in at the other', async () => {
      await visitor.post('/login');
      expect((await visitor.get('/me')).json()).toEqual(['customer', 'customer']);
      expect((await visitor.get('/admin/me')).status).toBe(401);
      await visitor.post('/admin/login');
      expect((await visitor.get('/admin/me')).json()).toEqual(['staff', 'staff']);
      expect((await visitor.get('/me')).json()).toEqual(['customer', 'customer']);
    });

    it('each has a session of its own, by its decorator, on the request, and in its templates', async () => {
      await visitor.post('/note?text=tea');
      await visitor.post('/admin/note?text=rota');
      expect((await visitor.get('/notes')).json()).toEqual(['tea', 'tea']);
      expect((await visitor.get('/admin/notes')).json()).toEqual(['rota', 'rota']);
      expect([(await visitor.get('/page')).text, (await visitor.get('/admin/page')).text]).toEqual([
        'nobody tea',
        'nobody rota',
      ]);
    });

    it('one answer saves both', async () => {
      const answer = await visitor.post('/admin/note?text=seen');
      expect(answer.setCookies.map((line) => line.split('=')[0]).sort()).toEqual(['customer', 'staff']);
      expect((await visitor.get('/admin/notes')).json()).toEqual(['seen', 'seen']);
    });
  });
});
