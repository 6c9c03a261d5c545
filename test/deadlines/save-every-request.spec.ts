import {
  Controller,
  type ExecutionContext,
  Get,
  InternalServerErrorException,
  Post,
  Req,
} from '@nestjs/common';
import { Passive, Session } from 'nest-session';
import { platforms } from '../support/http-app.js';
import { gate } from '../support/laws.js';
import { type SpiedApp, startSpiedApp } from '../support/spied-app.js';
import type { AnySession } from '../support/stage.js';

@Controller()
class Pages {
  @Get('unused')
  unused() {
    return 'a page';
  }

  @Get('looks')
  looks(@Req() request: { session: AnySession }) {
    return typeof request.session;
  }

  @Post('start')
  start(@Session() session: AnySession) {
    session.set('views', 1);
    return {};
  }

  @Get('read')
  read(@Session() session: AnySession) {
    return { views: session.get('views') ?? null };
  }

  @Post('save-early')
  async saveEarly(@Session() session: AnySession) {
    session.set('views', 2);
    await session.save();
    return {};
  }

  @Post('cycle')
  cycle(@Session() session: AnySession) {
    session.cycleId();
    return {};
  }

  @Post('flush')
  async flush(@Session() session: AnySession) {
    await session.flush();
    return {};
  }

  @Get('fails')
  fails(@Session() session: AnySession) {
    session.get('views');
    throw new InternalServerErrorException();
  }

  @Get('poll')
  @Passive()
  poll(@Session() session: AnySession) {
    return { views: session.get('views') ?? null };
  }
}

const DAY = 86_400_000;

describe.each(platforms)('saveEveryRequest on %s', (platform) => {
  let app: SpiedApp;

  beforeAll(async () => {
    app = await startSpiedApp({ platform, controllers: [Pages], session: { saveEveryRequest: true } });
  });
  afterAll(() => app.close());

  const started = async () => {
    const visitor = app.visitor();
    await visitor.post('/start');
    app.forget();
    return visitor;
  };

  it('writes the deadline of each request that read its session, and sends the same cookie anew', async () => {
    const visitor = await started();
    const cookie = await visitor.cookie('sessionid');
    for (let i = 0; i < 3; i++) {
      app.clock.advance('1s');
      app.forget();
      const answer = await visitor.get('/read');
      expect(app.commands).toEqual(['load', 'touch']);
      expect(answer.setCookies).toEqual([expect.stringContaining(`sessionid=${cookie};`)]);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect((await app.recordOf(visitor))?.expiresAt).toBe(app.clock.now() + 14 * DAY);
    }
  });

  it('says in Max-Age what is left of the absolute deadline, which nothing moves', async () => {
    const visitor = await started();
    app.clock.advance('10d');
    const { setCookies } = await visitor.get('/read');
    expect(setCookies[0]).toContain(`Max-Age=${20 * 86_400};`);
  });

  it('does so at the same moment too, but once a request', async () => {
    const visitor = await started();
    await visitor.get('/read');
    expect(app.commands).toEqual(['load', 'touch']);
    app.forget();
    const { setCookies } = await visitor.post('/save-early');
    expect(app.commands).toEqual(['load', 'save']);
    expect(setCookies).toHaveLength(1);
  });

  it.each(['/unused', '/looks'])('costs a request nothing that did not use its session: %s', async (path) => {
    const visitor = await started();
    const answer = await visitor.get(path);
    expect([app.commands, answer.setCookies, answer.headers.get('vary')]).toEqual([[], [], null]);
  });

  it('gives an anonymous reader no cookie and no row', async () => {
    app.forget();
    const answer = await app.visitor().get('/read');
    expect([app.commands, answer.setCookies]).toEqual([[], []]);
  });

  it('writes nothing, and sends no cookie, with a server error', async () => {
    const visitor = await started();
    const answer = await visitor.get('/fails');
    expect([answer.status, app.commands, answer.setCookies]).toEqual([500, ['load'], []]);
  });

  it('writes nothing on a passive route, and sends no cookie', async () => {
    const visitor = await started();
    const answer = await visitor.get('/poll');
    expect([app.commands, answer.setCookies]).toEqual([['load'], []]);
  });

  it.each(['/cycle', '/flush'])(
    'sends no cookie of a session that is not there any more when it is to be touched: %s',
    async (path) => {
      const visitor = await started();
      const touch = gate(app.store, 'touch');
      const reading = visitor.get('/read');
      await touch.reached;
      await visitor.post(path);
      touch.open();
      const answer = await reading;
      expect([answer.status, answer.setCookies]).toEqual([200, []]);
    },
  );
});

describe.each(platforms)("Django's SESSION_SAVE_EVERY_REQUEST on %s", (platform) => {
  it('is saveEveryRequest with a global guard that loads each session, as docs/deadlines.md writes it', async () => {
    const usesEach = {
      canActivate: (context: ExecutionContext) =>
        context
          .switchToHttp()
          .getRequest<{ session: AnySession }>()
          .session.load()
          .then(() => true),
    };
    const app = await startSpiedApp({
      platform,
      controllers: [Pages],
      session: { saveEveryRequest: true },
      setUp: (nest) => nest.useGlobalGuards(usesEach),
    });
    try {
      const visitor = app.visitor();
      await visitor.post('/start');
      app.clock.advance('1d');
      const answer = await visitor.get('/unused');
      expect(answer.setCookies).toEqual([expect.stringContaining('sessionid=')]);
      expect((await app.recordOf(visitor))?.expiresAt).toBe(app.clock.now() + 14 * DAY);
      app.forget();
      expect((await app.visitor().get('/unused')).setCookies).toEqual([]);
      expect(app.commands).toEqual([]);
    } finally {
      await app.close();
    }
  });
});
