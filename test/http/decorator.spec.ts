import {
  type ArgumentMetadata,
  Controller,
  Get,
  Injectable,
  Param,
  type PipeTransform,
  Post,
  Req,
  Session as NestSession,
} from '@nestjs/common';
import { Session } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';

interface Data {
  cart: { items: string[] };
  views: number;
}

/** What a ValidationPipe with `validateCustomDecorators` would validate against. */
const metatypes: unknown[] = [];

@Injectable()
class RecordingPipe implements PipeTransform {
  transform(value: unknown, { type, metatype }: ArgumentMetadata): unknown {
    if (type === 'custom') metatypes.push(metatype);
    return value;
  }
}

@Injectable()
class CountPipe implements PipeTransform {
  transform(cart: Data['cart'] | undefined): number {
    return cart?.items.length ?? 0;
  }
}

/** As decorators of caches, transactions and logs do: puts a function of its own in the method's place. */
const Wrapped: MethodDecorator = (_target, _name, descriptor: PropertyDescriptor) => {
  const method = descriptor.value as (...args: unknown[]) => unknown;
  descriptor.value = function (this: unknown, ...args: unknown[]) {
    return method.apply(this, args);
  };
  for (const key of Reflect.getMetadataKeys(method) as string[])
    Reflect.defineMetadata(key, Reflect.getMetadata(key, method), descriptor.value as object);
};

@Controller()
class Pages {
  @Post('fill')
  fill(@Session() session: Session<Data>) {
    session.update({ cart: { items: ['tea', 'milk'] }, views: 2 });
    return {};
  }

  @Get('value')
  value(@Session('cart') cart: Data['cart'] | undefined) {
    return { cart: cart ?? null };
  }

  @Get('piped')
  piped(@Session('cart', CountPipe) count: number) {
    return { count };
  }

  @Get('with-others/:id')
  withOthers(
    @Param('id') id: string,
    @Session() session: Session<Data>,
    @Session('views') views: number | undefined,
  ) {
    return { id, views, same: session.get('views') };
  }

  @Get('nests-own')
  nestsOwn(@NestSession() session: Session<Data>, @Session() ours: Session<Data>) {
    return { views: session.get('views') ?? null, same: session === ours };
  }

  @Get('nests-own-alone')
  nestsOwnAlone(@NestSession() session: Session<Data>) {
    return { views: session.get('views') ?? null };
  }

  @Wrapped
  @Get('wrapped')
  wrapped(@NestSession() session: Session<Data>) {
    return { views: session.get('views') ?? null };
  }

  @Get('request')
  async request(@Req() request: { session: Session<Data> }, @Session() session: Session<Data>) {
    return { same: request.session === session && (await request.session.load()) === session };
  }

  @Post('push')
  push(@Session('cart') cart: Data['cart']) {
    cart.items.push('rice'); // nested changes are seen through the parameter too
    return {};
  }
}

@Controller()
class Heirs extends Pages {
  @Wrapped
  @Get('heirs/:id')
  heirs(@Param('id') id: string, @NestSession() session: Session<Data>) {
    return { id, views: session.get('views') ?? null };
  }
}

@Controller()
class Unloaded {
  @Get('unloaded/:what')
  unloaded(@Req() request: { session: Session<Data> }, @Param('what') what: keyof Session<Data>) {
    try {
      const member: unknown = request.session[what];
      if (typeof member === 'function') (member as (key: string) => unknown).call(request.session, 'views');
      return { code: 'none' };
    } catch (error) {
      return { code: (error as { code: string }).code };
    }
  }
}

describe.each(platforms)('@Session() · %s', (platform) => {
  let app: TestApp;
  let browser: Browser;
  beforeAll(async () => {
    const setUp = (nest: TestApp['app']) => nest.useGlobalPipes(new RecordingPipe());
    app = await startApp({ platform, controllers: [Heirs, Unloaded], setUp });
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    browser = new Browser(app.url);
    await browser.post('/fill');
    metatypes.splice(0);
  });

  it('gives one value by its name, undefined where there is none', async () => {
    expect((await browser.get('/value')).json()).toEqual({ cart: { items: ['tea', 'milk'] } });
    expect((await new Browser(app.url).get('/value')).json()).toEqual({ cart: null });
  });

  it('takes pipes', async () => {
    expect((await browser.get('/piped')).json()).toEqual({ count: 2 });
  });

  it('works among other parameters', async () => {
    expect((await browser.get('/with-others/7')).json()).toEqual({ id: '7', views: 2, same: 2 });
  });

  it('is no class to validate against, though the type has the decorator’s name', async () => {
    await browser.post('/fill');
    await browser.get('/with-others/7');
    expect(metatypes).toEqual([Object, Object, Object]);
  });

  it('is the same object as Nest’s own @Session() gives, and request.session', async () => {
    expect((await browser.get('/nests-own')).json()).toEqual({ views: 2, same: true });
    expect((await browser.get('/request')).json()).toEqual({ same: true });
  });

  it('is loaded for Nest’s own @Session() too', async () => {
    expect((await browser.get('/nests-own-alone')).json()).toEqual({ views: 2 });
  });

  it('is loaded for Nest’s own @Session() also where a decorator has wrapped the handler', async () => {
    for (const visitor of [browser, new Browser(app.url)]) {
      const views = visitor === browser ? 2 : null;
      expect((await visitor.get('/wrapped')).json()).toEqual({ views });
      expect((await visitor.get('/heirs/7')).json()).toEqual({ id: '7', views });
    }
  });

  it('saves what is changed inside a value that came as a parameter', async () => {
    await browser.post('/push');
    expect((await browser.get('/value')).json()).toEqual({ cart: { items: ['tea', 'milk', 'rice'] } });
  });

  it.each(['get', 'set', 'has', 'size', 'data', 'keys', 'handle', 'cycleId', 'clear', 'expiresAt'])(
    'throws before anything loaded it, with a cookie and without: %s',
    async (what) => {
      for (const visitor of [browser, new Browser(app.url)])
        expect((await visitor.get(`/unloaded/${what}`)).json()).toEqual({ code: 'SESSION_NOT_LOADED' });
    },
  );

  it('tells before that whether a session is new where no cookie came, and throws where one did', async () => {
    expect((await browser.get('/unloaded/isNew')).json()).toEqual({ code: 'SESSION_NOT_LOADED' });
    expect((await new Browser(app.url).get('/unloaded/isNew')).json()).toEqual({ code: 'none' });
  });
});
