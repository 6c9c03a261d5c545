import { CacheInterceptor, CacheModule } from '@nestjs/cache-manager';
import { Controller, type ExecutionContext, Get, Injectable } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { Session } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { AppUsers, loggedIn, newPerson, People } from '../support/people.js';
import type { AnySession } from '../support/stage.js';

/** As docs/caching.md has it. */
@Injectable()
class CachePerVisitor extends CacheInterceptor {
  protected override async trackBy(context: ExecutionContext): Promise<string | undefined> {
    const url = await super.trackBy(context);
    if (!url || context.getType() !== 'http') return url ?? undefined;
    const { session } = context.switchToHttp().getRequest<{ session: Session }>();
    await session.load();
    return session.isNew ? undefined : `${session.handle} ${session.userId ?? ''} ${url}`;
  }
}

let answered = 0;

@Controller()
class Pages {
  @Get('page')
  page(@Session() session: AnySession) {
    answered++;
    return { user: session.userId ?? null, cart: session.get('cart') ?? [] };
  }
}

describe.each(platforms)('CacheInterceptor of Nest, by the recipe, on %s', (platform) => {
  let app: TestApp;
  beforeEach(async () => {
    answered = 0;
    app = await startApp({
      platform,
      controllers: [Pages, People],
      imports: [CacheModule.register({ ttl: 60_000 })],
      providers: [{ provide: APP_INTERCEPTOR, useClass: CachePerVisitor }],
      session: { auth: { users: AppUsers } },
    });
  });
  afterEach(() => app.close());

  it('answers a visitor from the cache, and no other one', async () => {
    const [first, second, stranger] = [new Browser(app.url), new Browser(app.url), new Browser(app.url)];
    await first.post('/fill?item=tea');
    await second.post('/fill?item=rice');
    for (let times = 0; times < 2; times++) {
      expect((await first.get('/page')).json()).toEqual({ user: null, cart: ['tea'] });
      expect((await second.get('/page')).json()).toEqual({ user: null, cart: ['rice'] });
    }
    expect(answered).toBe(2);
    expect((await stranger.get('/page')).json()).toEqual({ user: null, cart: [] });
  });

  it('an answer from the cache varies by cookie, as the handler’s own', async () => {
    const visitor = new Browser(app.url);
    await visitor.post('/fill');
    await visitor.get('/page');
    const { headers } = await visitor.get('/page');
    expect([answered, headers.get('vary'), headers.get('cache-control')]).toEqual([1, 'Cookie', 'private']);
  });

  it('does not give who logs in, or out, what they saw before', async () => {
    const [visitor, person] = [new Browser(app.url), newPerson()];
    await visitor.post('/fill');
    expect((await visitor.get('/page')).json()).toMatchObject({ user: null });
    await loggedIn(visitor, person);
    expect((await visitor.get('/page')).json()).toMatchObject({ user: person.id });
    await visitor.post('/logout');
    expect((await visitor.get('/page')).json()).toEqual({ user: null, cart: [] });
  });
});
