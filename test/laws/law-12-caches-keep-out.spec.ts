import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Header,
  Injectable,
  Param,
  Post,
  Render,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { Session } from 'nest-session';
import type { PlatformName } from '../support/http-app.js';
import { describeLaw } from '../support/laws.js';
import { useViews } from '../support/views.js';

type Data = Session<{ views: number; name: string }>;

const ACCESSORS: Record<string, (session: Data) => unknown> = {
  get: (session) => session.get('views'),
  has: (session) => session.has('views'),
  size: (session) => session.size,
  keys: (session) => [...session.keys()],
  'for of': (session) => [...session],
  'in data': (session) => 'views' in session.data,
  data: (session) => session.data.views,
  isEmpty: (session) => session.isEmpty,
  isNew: (session) => session.isNew,
  handle: (session) => session.handle,
  expiresAt: (session) => session.expiresAt,
  takeFlash: (session) => session.takeFlash('notice'),
};

@Injectable()
class LookingGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    return !(await context.switchToHttp().getRequest<{ session: Data }>().session.load()).has(
      'banned' as never,
    );
  }
}

interface AnyResponse {
  header(name: string, value: string): AnyResponse;
  send(body: unknown): unknown;
}

@Controller()
class Pages {
  @Post('start')
  start(@Session() session: Data) {
    session.update({ views: 1, name: 'Ada' });
    return {};
  }

  @Get('access/:how')
  async access(@Req() request: { session: Data }, @Param('how') how: string) {
    const session = await request.session.load();
    ACCESSORS[how]?.(session);
    return {};
  }

  @Get('injected')
  injected(@Session() _: Data) {
    return {};
  }

  @Get('guarded')
  @UseGuards(LookingGuard)
  guarded() {
    return {};
  }

  @Get('greeting')
  @Render('greeting')
  greeting() {
    return {};
  }

  @Get('static-view')
  @Render('static')
  staticView() {
    return {};
  }

  @Get('cached')
  @Header('Cache-Control', 'public, max-age=60, s-maxage=600')
  cached(@Session('views') _: number | undefined) {
    return {};
  }

  @Get('start-cached/:directives')
  startCached(
    @Session() session: Data,
    @Res() response: AnyResponse,
    @Param('directives') directives: string,
  ) {
    session.set('views', 1);
    response.header('Cache-Control', directives).send({});
  }

  @Get('varied')
  @Header('Vary', 'Accept-Language, cookie')
  varied(@Session() _: Data) {
    return {};
  }

  @Get('varied-otherwise')
  @Header('Vary', 'Origin')
  variedOtherwise(@Session() _: Data) {
    return {};
  }

  @Get('other-cookies')
  otherCookies(@Session() session: Data, @Res() response: AnyResponse) {
    session.set('views', 1);
    response.header('Set-Cookie', 'theme=dark; Path=/').send({});
  }
}

const options = {
  controllers: [Pages],
  setUp: (app: INestApplication, platform: PlatformName) =>
    useViews(app, platform, {
      greeting: '<% if (locals.session) { %>Hello <%= session.get("name") %><% } else { %>Hello<% } %>',
      static: '<p>the same for everybody</p>',
    }),
};

describeLaw('law 12: caches keep out', options, (law) => {
  const visitorWithSession = async () => {
    const visitor = law.visitor();
    await visitor.post('/start');
    return visitor;
  };
  const caching = async (path: string, visitor = law.visitor()) => {
    const { headers } = await visitor.get(path);
    return [headers.get('vary'), headers.get('cache-control')];
  };

  it.each([...Object.keys(ACCESSORS), 'nothing'])(
    'a page that looked at the session varies by cookie: %s',
    async (how) => {
      expect(await caching(`/access/${how}`)).toEqual(['Cookie', 'private']);
      expect(await caching(`/access/${how}`, await visitorWithSession())).toEqual(['Cookie', 'private']);
    },
  );

  it.each(['/injected', '/guarded'])('so does one that asked for it in another way: %s', async (path) => {
    expect(await caching(path)).toEqual(['Cookie', 'private']);
  });

  it('a view varies when its template looks at the session, and else not', async () => {
    const visitor = await visitorWithSession();
    expect((await visitor.get('/greeting')).text).toBe('Hello Ada');
    expect(await caching('/greeting', visitor)).toEqual(['Cookie', 'private']);
    expect(await caching('/static-view', visitor)).toEqual([null, null]);
  });

  it('a view of a visitor without a cookie varies as that of any other, and asks no store', async () => {
    law.forget();
    expect((await law.visitor().get('/greeting')).text).toBe('Hello ');
    expect(await caching('/greeting')).toEqual(['Cookie', 'private']);
    expect(await caching('/static-view')).toEqual([null, null]);
    expect(law.commands).toEqual([]);
  });

  it('leaves what the handler says about caching where no cookie is set', async () => {
    expect(await caching('/cached')).toEqual(['Cookie', 'public, max-age=60, s-maxage=600']);
  });

  it.each([
    ['public, max-age=60, s-maxage=600', 'private, max-age=60'],
    ['PUBLIC', 'private'],
    ['max-age=60', 'private, max-age=60'],
    ['private, max-age=60', 'private, max-age=60'],
    ['no-store', 'no-store'],
  ])('never says public or s-maxage beside our cookie: %s', async (said, leaves) => {
    const answer = await law.visitor().get(`/start-cached/${encodeURIComponent(said)}`);
    expect(answer.setCookies).toHaveLength(1);
    expect(answer.headers.get('cache-control')).toBe(leaves);
    expect(answer.headers.get('vary')).toBe('Cookie');
  });

  it('says no-store beside our cookie when the handler says nothing', async () => {
    const answer = await law.visitor().post('/start');
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('keeps other Vary values, and is not said twice', async () => {
    expect((await caching('/varied'))[0]).toBe('Accept-Language, cookie');
    expect((await caching('/varied-otherwise'))[0]).toBe('Origin, Cookie');
  });

  it('keeps other cookies, and sends exactly one of its own', async () => {
    const answer = await law.visitor().get('/other-cookies');
    expect(answer.setCookies).toEqual(['theme=dark; Path=/', expect.stringMatching(/^sessionid=/)]);
  });
});
