import {
  BadRequestException,
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  type INestApplication,
  Injectable,
  InternalServerErrorException,
  type NestInterceptor,
  Post,
  Render,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { Session } from 'nest-session';
import { map, type Observable } from 'rxjs';
import type { PlatformName } from '../support/http-app.js';
import { describeLaw, keyOfCookie } from '../support/laws.js';
import { useViews } from '../support/views.js';

type Data = Session<{ views: number; note: string }>;

/** Fails after the handler has succeeded: a serialiser that meets something unexpected, for example. */
@Injectable()
class FailingAfterwards implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getHandler().name !== 'setThenFailInAnInterceptor') return next.handle();
    return next.handle().pipe(
      map(() => {
        throw new InternalServerErrorException();
      }),
    );
  }
}

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: Data) {
    session.set('views', 1);
    return {};
  }

  @Get('read')
  read(@Session() session: Data) {
    return Object.fromEntries(session);
  }

  @Post('set-then-500')
  setThen500(@Session() session: Data) {
    session.set('note', 'never');
    throw new InternalServerErrorException();
  }

  @Post('set-then-unknown-error')
  setThenUnknownError(@Session() session: Data) {
    session.set('note', 'never');
    throw new Error('a mistake');
  }

  @Post('set-and-answer-500')
  @HttpCode(500)
  setAndAnswer500(@Session() session: Data) {
    session.set('note', 'never');
    return {};
  }

  @Post('set-then-400')
  setThen400(@Session() session: Data) {
    session.set('note', 'kept');
    throw new BadRequestException();
  }

  @Post('cycle-then-500')
  cycleThen500(@Session() session: Data) {
    session.cycleId();
    throw new InternalServerErrorException();
  }

  @Post('save-then-500')
  async saveThen500(@Session() session: Data) {
    session.set('note', 'saved');
    await session.save();
    throw new InternalServerErrorException();
  }

  @Post('flush-then-500')
  async flushThen500(@Session() session: Data) {
    await session.flush();
    throw new InternalServerErrorException();
  }

  @Post('flush-set-then-500')
  async flushSetThen500(@Session() session: Data) {
    await session.flush();
    session.set('note', 'never');
    throw new InternalServerErrorException();
  }

  @Post('flush-then-set')
  async flushThenSet(@Session() session: Data) {
    await session.flush();
    session.set('note', 'new');
    return {};
  }

  @Get('set-then-fail-in-the-view')
  @Render('broken')
  setThenFailInTheView(@Session() session: Data) {
    session.set('note', 'in the handler');
  }

  @Post('set-then-fail-in-an-interceptor')
  setThenFailInAnInterceptor(@Session() session: Data) {
    session.set('note', 'in the handler');
    return {};
  }
}

const options = {
  controllers: [Pages],
  // Of the root module, and so outside of the session's interceptor.
  providers: [{ provide: APP_INTERCEPTOR, useClass: FailingAfterwards }],
  setUp: async (app: INestApplication, platform: PlatformName) => {
    await useViews(app, platform, { broken: '<%= nobody.knows.this %>' });
  },
};

describeLaw('law 3: destroy now, build at the end', options, (law) => {
  const visitorWithSession = async () => {
    const visitor = law.visitor();
    await visitor.post('/start');
    return visitor;
  };

  it.each(['/set-then-500', '/set-then-unknown-error', '/set-and-answer-500'])(
    'a server error undoes what was set: %s',
    async (path) => {
      const visitor = await visitorWithSession();
      law.forget();
      const answer = await visitor.post(path);
      expect(answer.status).toBe(500);
      expect(law.commands).toEqual(['load']);
      expect((await visitor.get('/read')).json()).toEqual({ views: 1 });
    },
  );

  it('a server error starts no session', async () => {
    law.forget();
    const answer = await law.visitor().post('/set-then-500');
    expect(answer.setCookies).toEqual([]);
    expect(law.commands).toEqual([]);
  });

  it('a server error undoes a cycle: the old id goes on', async () => {
    const visitor = await visitorWithSession();
    const before = await visitor.cookie('sessionid');
    const answer = await visitor.post('/cycle-then-500');
    expect([answer.status, answer.setCookies]).toEqual([500, []]);
    expect(await visitor.cookie('sessionid')).toBe(before);
    expect((await visitor.get('/read')).json()).toEqual({ views: 1 });
  });

  it('a client error keeps what was set', async () => {
    const visitor = await visitorWithSession();
    expect((await visitor.post('/set-then-400')).status).toBe(400);
    expect((await visitor.get('/read')).json()).toEqual({ views: 1, note: 'kept' });
  });

  it('a client error starts a session, with its cookie', async () => {
    const visitor = law.visitor();
    const answer = await visitor.post('/set-then-400');
    expect(answer.setCookies).toHaveLength(1);
    expect((await visitor.get('/read')).json()).toEqual({ note: 'kept' });
  });

  it('save() holds in spite of a server error, cookie included', async () => {
    const visitor = law.visitor();
    const answer = await visitor.post('/save-then-500');
    expect([answer.status, answer.setCookies.length]).toEqual([500, 1]);
    expect((await visitor.get('/read')).json()).toEqual({ note: 'saved' });
  });

  it.each(['/flush-then-500', '/flush-set-then-500'])('a flush survives a server error: %s', async (path) => {
    const visitor = await visitorWithSession();
    const cookie = await visitor.cookie('sessionid');
    const answer = await visitor.post(path);
    expect(answer.status).toBe(500);
    expect(answer.setCookies).toEqual([
      expect.stringMatching(/^sessionid=; Max-Age=0; Path=\/; HttpOnly; SameSite=Lax$/),
    ]);
    const record = await law.store.load(keyOfCookie(cookie));
    expect([record?.gone, { ...record?.values }]).toEqual(['ended', {}]);
    const replay = await law.visitor().get('/read', { cookie: `sessionid=${cookie}` });
    expect(replay.json()).toEqual({});
  });

  it('a flush acts before the answer', async () => {
    const visitor = await visitorWithSession();
    const cookie = await visitor.cookie('sessionid');
    law.forget();
    await visitor.post('/flush-then-set');
    expect(law.commands).toEqual(['load', 'delete', 'create']);
    expect(await visitor.cookie('sessionid')).not.toBe(cookie);
    expect((await visitor.get('/read')).json()).toEqual({ note: 'new' });
  });

  it.each([
    ['GET', '/set-then-fail-in-the-view'],
    ['POST', '/set-then-fail-in-an-interceptor'],
  ])(
    'what fails after the commit does not undo it, and the browser gets its cookie: %s %s',
    async (method, path) => {
      const visitor = law.visitor();
      const answer = await visitor.request(method, path);
      expect([answer.status, answer.setCookies.length]).toEqual([500, 1]);
      expect((await visitor.get('/read')).json()).toEqual({ note: 'in the handler' });
    },
  );
});
