import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Post,
  Req,
  UseGuards,
} from '@nestjs/common';
import { Session, SessionStore } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';

type Data = Session<{ views: number }>;
const seenByMiddleware: unknown[] = [];

/** Looks at the session without waiting, as guards and libraries do that know nothing of a load. */
@Injectable()
class ImpatientGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { session } = context.switchToHttp().getRequest<{ session: Data }>();
    return session.get('views') !== 13;
  }
}

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: Data) {
    session.set('views', 1);
    return {};
  }

  @Get('guarded')
  @UseGuards(ImpatientGuard)
  guarded(@Req() request: { session: Data }) {
    return { views: request.session.get('views') ?? null };
  }

  @Get('unused')
  unused() {
    return {};
  }
}

const start = (platform: 'express' | 'fastify', load: 'lazy' | 'eager') =>
  startApp({
    platform,
    controllers: [Pages],
    session: { load },
  });

describe.each(platforms)('load · %s', (platform) => {
  let app: TestApp;
  afterEach(() => app.close());

  it("'lazy' makes whoever does not wait an error that says what to write", async () => {
    const errors: unknown[] = [];
    app = await startApp({
      platform,
      controllers: [Pages],
      setUp: (nest) =>
        nest.useGlobalFilters({
          catch(error: Error, host) {
            errors.push(error.message);
            const response = host
              .switchToHttp()
              .getResponse<{ status(code: number): { send(body: object): void } }>();
            response.status(500).send({});
          },
        }),
    });
    expect((await new Browser(app.url).get('/guarded')).status).toBe(500);
    expect(errors).toEqual([expect.stringMatching(/@Session\(\).*session\.load\(\).*'eager'/s)]);
  });

  it("'eager' has it loaded before guards, for visitors with and without a cookie", async () => {
    app = await start(platform, 'eager');
    const browser = new Browser(app.url);
    expect((await browser.get('/guarded')).json()).toEqual({ views: null });
    await browser.post('/start');
    const answer = await browser.get('/guarded');
    expect(answer.json()).toEqual({ views: 1 });
    expect(answer.headers.get('vary')).toBe('Cookie');
  });

  it("'eager' asks the store for valid cookies only, and says nothing where nobody looked", async () => {
    app = await start(platform, 'eager');
    const store = app.get<SessionStore>(SessionStore);
    const loads: string[] = [];
    const load = store.load.bind(store);
    store.load = (key) => {
      loads.push(key);
      return load(key);
    };
    const browser = new Browser(app.url);
    for (const cookie of [undefined, 'sessionid=garbage']) {
      const answer = await browser.get('/unused', cookie ? { cookie } : {});
      expect([answer.status, answer.headers.get('vary'), answer.setCookies]).toEqual([200, null, []]);
    }
    expect(loads).toEqual([]);
    await browser.post('/start');
    const answer = await browser.get('/unused');
    expect([answer.headers.get('vary'), loads.length]).toEqual([null, 1]);
  });

  it("'eager' gives middleware the session, on Fastify on the raw request", async () => {
    seenByMiddleware.splice(0);
    app = await startApp({
      platform,
      controllers: [Pages],
      session: { load: 'eager' },
      imports: [],
      middleware: (request: { session?: Data }, _: unknown, next: () => void) => {
        seenByMiddleware.push(request.session?.get('views') ?? null);
        next();
      },
    });
    const browser = new Browser(app.url);
    await browser.post('/start');
    await browser.get('/unused');
    expect(seenByMiddleware).toEqual([null, 1]);
  });

  it("'eager' is before what main.ts gives to app.use(), and the session is there", async () => {
    const seen: unknown[] = [];
    app = await startApp({
      platform,
      controllers: [Pages],
      session: { load: 'eager' },
      setUp: (nest) =>
        nest.use((request: { session: Data }, _: unknown, next: () => void) => {
          seen.push(request.session.get('views') ?? null);
          next();
        }),
    });
    const browser = new Browser(app.url);
    await browser.post('/start');
    const answer = await browser.get('/unused');
    expect([seen, answer.headers.get('vary')]).toEqual([[null, 1], 'Cookie']);
  });

  it("'lazy' has request.session for every middleware, which loads it by itself", async () => {
    const seen: unknown[] = [];
    const look = (request: { session: Data }, _: unknown, next: (error?: unknown) => void) => {
      request.session
        .load()
        .then((session) => void seen.push(session.get('views') ?? null))
        .then(() => next(), next);
    };
    app = await startApp({
      platform,
      controllers: [Pages],
      middleware: look,
      setUp: (nest) => nest.use(look),
    });
    const browser = new Browser(app.url);
    await browser.post('/start');
    await browser.get('/unused');
    expect(seen).toEqual([null, null, 1, 1]);
  });

  it("'lazy' tells middleware what is known without a load, which makes no answer vary", async () => {
    const seen: unknown[] = [];
    app = await startApp({
      platform,
      controllers: [Pages],
      setUp: (nest) =>
        nest.use(({ session }: { session: Data }, _: unknown, next: () => void) => {
          seen.push([session.isNew, session.isEmpty, session.accessed, session.modified]);
          next();
        }),
    });
    const answer = await new Browser(app.url).get('/unused');
    expect([seen, answer.headers.get('vary')]).toEqual([[[true, true, false, false]], null]);
  });

  it("'eager' answers 503 when the store fails", async () => {
    app = await start(platform, 'eager');
    const browser = new Browser(app.url);
    await browser.post('/start');
    const store = app.get<SessionStore>(SessionStore);
    store.load = () => Promise.reject(new Error('gone'));
    const answer = await browser.get('/unused');
    expect([answer.status, answer.json().message]).toEqual([
      503,
      'The session is not available at the moment.',
    ]);
  });
});

interface FastifyInstance {
  addHook(name: 'onRequest', hook: (request: { session: Data }) => Promise<void>): unknown;
  register(plugin: (context: FastifyInstance) => Promise<void>): unknown;
  get(path: string, handler: (request: { session: Data }) => Promise<unknown>): unknown;
}

describe.each(['lazy', 'eager'] as const)("hooks of Fastify that main.ts adds · load: '%s'", (load) => {
  let app: TestApp;
  afterEach(() => app.close());

  /** What a session's reader has to do. */
  const viewsOf = async ({ session }: { session: Data }) =>
    (load === 'eager' ? session : await session.load()).get('views') ?? null;

  it('find the session, in contexts of plugins, too', async () => {
    const seen: unknown[] = [];
    app = await startApp({
      platform: 'fastify',
      controllers: [Pages],
      session: { load },
      setUp: async (nest) => {
        const fastify = nest.getHttpAdapter().getInstance() as FastifyInstance;
        fastify.addHook('onRequest', async (request) => {
          seen.push(await viewsOf(request));
        });
        await fastify.register(async (context) => {
          context.addHook('onRequest', async (request) => {
            seen.push(await viewsOf(request));
          });
          context.get('/plugin', async (request) => ({ views: await viewsOf(request) }));
        });
      },
    });
    const browser = new Browser(app.url);
    await browser.post('/start');
    expect((await browser.get('/plugin')).json()).toEqual({ views: 1 });
    expect(seen).toEqual([null, 1, 1]);
  });
});
