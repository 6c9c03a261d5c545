import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Get,
  Injectable,
  Post,
  Query,
  Req,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Authenticated, CurrentUser, Passive, Public, Session } from 'nest-session';
import { platforms } from '../support/http-app.js';
import { AppUsers, newPerson, People, type Person } from '../support/people.js';
import { type SpiedApp, startSpiedApp } from '../support/spied-app.js';
import type { AnySession } from '../support/stage.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

type Ask = { session: AnySession; headers: Record<string, unknown> };

/** Loads the session, and turns away who asks for it. */
@Injectable()
class LoadingGuard implements CanActivate {
  async canActivate(context: ExecutionContext) {
    const { session, headers } = context.switchToHttp().getRequest<Ask>();
    if (headers['x-refuse'] === undefined) return true;
    await session.load();
    throw new ForbiddenException();
  }
}

@Controller('poll')
@Passive()
class Polling {
  @Get('read')
  read(@Session() session: AnySession) {
    return { views: session.get('views') ?? null, expiresAt: session.expiresAt.getTime() };
  }

  @Get('by-hand')
  async byHand(@Req() request: Ask) {
    await request.session.load();
    return { views: request.session.get('views') };
  }

  @Get('guarded')
  @UseGuards(LoadingGuard)
  guarded() {
    return {};
  }

  @Post('write')
  write(@Session() session: AnySession) {
    session.set('seen', true);
    return {};
  }

  @Post('save-twice')
  async saveTwice(@Session() session: AnySession) {
    session.set('seen', 1);
    await session.save();
    session.set('seen', 2);
    return {};
  }

  @Post('cycle')
  cycle(@Session() session: AnySession) {
    session.cycleId();
    return {};
  }

  @Post('expiry')
  expiry(@Session() session: AnySession, @Query('in') text: string) {
    session.setExpiry(text);
    return {};
  }

  @Get('active')
  @Passive(false)
  active(@Session() session: AnySession) {
    return { views: session.get('views') };
  }
}

@Controller('pages')
class Pages {
  @Post('start')
  start(@Session() session: AnySession) {
    session.set('views', 1);
    return {};
  }

  @Get('read')
  read(@Session() session: AnySession) {
    return { views: session.get('views') ?? null };
  }

  @Get('poll')
  @Passive()
  poll(@Session() session: AnySession) {
    return { views: session.get('views') ?? null };
  }

  @Get('mine')
  @Authenticated()
  @Passive()
  mine(@CurrentUser() user: Person) {
    return { id: user.id };
  }

  @Post('nothing')
  @Public()
  @Passive()
  nothing() {
    return {};
  }
}

@Controller('sub')
class Inherited extends Polling {}

describe.each(platforms)('@Passive() on %s', (platform) => {
  let app: SpiedApp;

  beforeAll(async () => {
    app = await startSpiedApp({
      platform,
      controllers: [Polling, Pages, Inherited, People],
      session: { auth: { users: AppUsers } },
      providers: [{ provide: APP_GUARD, useClass: LoadingGuard }],
    });
  });
  afterAll(() => app.close());

  const started = async () => {
    const visitor = app.visitor();
    await visitor.post('/pages/start');
    return { visitor, created: app.clock.now() };
  };

  it.each(['/poll/read', '/poll/by-hand', '/pages/poll', '/sub/read'])(
    'moves no deadline, however often it asks: %s',
    async (path) => {
      const { visitor, created } = await started();
      app.forget();
      for (let day = 1; day < 14; day++) {
        app.clock.advance('1d');
        expect((await visitor.get(path)).json()).toMatchObject({ views: 1 });
      }
      expect(new Set(app.commands)).toEqual(new Set(['load']));
      const record = await app.recordOf(visitor);
      expect([record?.lastSeenAt, record?.expiresAt]).toEqual([created, created + 14 * DAY]);
      app.clock.advance('1d');
      expect((await visitor.get('/pages/read')).json()).toEqual({ views: null });
    },
  );

  it('tells the handler the deadline that holds', async () => {
    const { visitor, created } = await started();
    app.clock.advance('1d');
    expect((await visitor.get('/poll/read')).json()).toMatchObject({ expiresAt: created + 14 * DAY });
  });

  it('moves it on a route that takes the mark back', async () => {
    const { visitor, created } = await started();
    app.clock.advance('1d');
    await visitor.get('/poll/active');
    expect((await app.recordOf(visitor))?.expiresAt).toBe(created + 15 * DAY);
  });

  it.each(['/poll/guarded', '/pages/poll', '/pages/nothing'])(
    'moves none where a guard loads the session and turns the request away: %s',
    async (path) => {
      const { visitor, created } = await started();
      app.clock.advance('1d');
      app.forget();
      const method = path === '/pages/nothing' ? 'POST' : 'GET';
      const answer = await visitor.request(method, path, { headers: { 'x-refuse': 'yes' } });
      expect([answer.status, app.commands]).toEqual([403, ['load']]);
      expect((await app.recordOf(visitor))?.expiresAt).toBe(created + 14 * DAY);
    },
  );

  it('moves it where a guard turns a request away from any other route', async () => {
    const { visitor, created } = await started();
    app.clock.advance('1d');
    expect((await visitor.get('/pages/read', { 'x-refuse': 'yes' })).status).toBe(403);
    expect((await app.recordOf(visitor))?.expiresAt).toBe(created + 15 * DAY);
  });

  it('moves none for a user whom the guard lets in', async () => {
    const visitor = app.visitor();
    const person = newPerson();
    await visitor.post(`/login?user=${person.id}`);
    const created = app.clock.now();
    app.clock.advance('1d');
    expect((await visitor.get('/pages/mine')).json()).toEqual({ id: person.id });
    expect((await app.recordOf(visitor))?.expiresAt).toBe(created + 14 * DAY);
  });

  it.each(['/poll/write', '/poll/save-twice'])(
    'saves values, and leaves both times as stored: %s',
    async (path) => {
      const { visitor, created } = await started();
      app.clock.advance('1d');
      const answer = await visitor.post(path);
      expect([answer.status, answer.setCookies]).toEqual([201, []]);
      const record = await app.recordOf(visitor);
      expect(record).toMatchObject({ lastSeenAt: created, expiresAt: created + 14 * DAY, policy: '' });
      expect(record?.values.seen).toBeDefined();
    },
  );

  it('cycles the id, and leaves both times as stored', async () => {
    const { visitor, created } = await started();
    const before = await visitor.cookie('sessionid');
    app.clock.advance('1d');
    await visitor.post('/poll/cycle');
    expect(await visitor.cookie('sessionid')).not.toBe(before);
    const record = await app.recordOf(visitor);
    expect(record).toMatchObject({ lastSeenAt: created, expiresAt: created + 14 * DAY });
  });

  it('does what setExpiry asks for', async () => {
    const { visitor } = await started();
    app.clock.advance('1d');
    await visitor.post('/poll/expiry?in=5m');
    expect(await app.recordOf(visitor)).toMatchObject({
      policy: 'idle:300000',
      expiresAt: app.clock.now() + 300_000,
    });
  });

  it('starts a session with all of its time', async () => {
    const visitor = app.visitor();
    await visitor.post('/poll/write');
    expect((await app.recordOf(visitor))?.expiresAt).toBe(app.clock.now() + 14 * DAY);
  });

  it('keeps the deadline that an active request moved meanwhile', async () => {
    const { visitor } = await started();
    app.clock.advance('1d');
    const save = app.store.save.bind(app.store);
    Object.assign(app.store, {
      save: async (...args: Parameters<typeof save>) => {
        Object.assign(app.store, { save });
        await visitor.get('/pages/read');
        return save(...args);
      },
    });
    await visitor.post('/poll/write');
    expect((await app.recordOf(visitor))?.expiresAt).toBe(app.clock.now() + 14 * DAY);
  });

  it('costs a request without a session nothing', async () => {
    const { visitor } = await started();
    app.forget();
    const answer = await visitor.post('/pages/nothing');
    expect(answer.headers.get('vary')).toBeNull();
    expect(app.commands).toEqual([]);
  });
});
