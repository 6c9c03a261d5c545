import { Controller, Get, Header, type INestApplication, Post, Render } from '@nestjs/common';
import { Session } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { AppUsers, loggedIn, newPerson, People } from '../support/people.js';
import type { AnySession } from '../support/stage.js';
import { type EngineName, engines, useViews } from '../support/views.js';

const TEMPLATES: Record<EngineName, Record<'page' | 'values' | 'flash' | 'looksAway', string>> = {
  ejs: {
    page: '<% if (user) { %>Hello <%= user.name %><% } else { %>Please log in<% } %>',
    values: `[<%= session.name %>|<%= session.data.name %>|<%= session.get('name') %>] <%= session.cart?.[0]?.sku %>`,
    flash: `<%= [session.takeFlash('notice')].flat().join() %>`,
    looksAway: 'the same for all',
  },
  pug: {
    page: `if user\n  | Hello #{user.name}\nelse\n  | Please log in`,
    values: `| [#{session.name}|#{session.data.name}|#{session.get('name')}] #{(session.cart || [{}])[0].sku}`,
    flash: `| #{[session.takeFlash('notice')].flat().join()}`,
    looksAway: '| the same for all',
  },
  nunjucks: {
    page: '{% if user %}Hello {{ user.name }}{% else %}Please log in{% endif %}',
    values: `[{{ session.name }}|{{ session.data.name }}|{{ session.get('name') }}] {{ session.cart[0].sku }}`,
    flash: `{{ session.takeFlash('notice') }}`,
    looksAway: 'the same for all',
  },
  handlebars: {
    page: '{{#if user}}Hello {{user.name}}{{else}}Please log in{{/if}}',
    values: `[{{session.name}}|{{session.data.name}}|{{session.get 'name'}}] {{session.cart.0.sku}}`,
    flash: `{{session.takeFlash 'notice'}}`,
    looksAway: 'the same for all',
  },
};

@Controller('pages')
class Pages {
  @Get('page') @Render('page') page() {}
  @Get('values') @Header('Cache-Control', 'public, max-age=60') @Render('values') values() {}
  @Get('flash') @Render('flash') flash() {}
  @Get('looks-away') @Render('looksAway') looksAway() {}

  @Get('values-injected')
  @Render('values')
  injected(@Session() session: AnySession) {
    session.set('cart', [{ sku: 'rice' }]); // what the handler sets, the template shows
  }

  @Get('own-user')
  @Render('page')
  ownUser() {
    return { user: { name: 'of the handler' } };
  }

  @Post('fill')
  fill(@Session() session: AnySession) {
    session
      .update({ name: 'Ada', cart: [{ sku: 'tea' }] })
      .flash('notice', 'saved')
      .flash('notice', 'sent');
    return {};
  }
}

const cases = platforms.flatMap((platform) => engines.map((engine) => [platform, engine] as const));

describe.each(cases)('templates on %s · %s', (platform, engine) => {
  let app: TestApp;
  const start = async (session: { auth?: { users: typeof AppUsers } }) => {
    app = await startApp({
      platform,
      controllers: session.auth ? [Pages, People] : [Pages],
      session,
      setUp: (nest: INestApplication) => useViews(nest, platform, TEMPLATES[engine], engine),
    });
    return new Browser(app.url);
  };
  const read = async (visitor: Browser, path: string) => {
    const { text, headers, setCookies } = await visitor.get(`/pages/${path}`);
    return [text.trim(), headers.get('vary'), headers.get('cache-control'), setCookies.length];
  };
  afterEach(() => app.close());

  it('a first visit finds an empty session and nobody, and says that it varies', async () => {
    const first = await start({ auth: { users: AppUsers } });
    expect(await read(first, 'page')).toEqual(['Please log in', 'Cookie', 'private', 0]);
    expect(await read(first, 'values')).toEqual(['[||]', 'Cookie', 'public, max-age=60', 0]);
    expect(await read(first, 'flash')).toEqual(['', 'Cookie', 'private', 0]);
  });

  it('a later visit finds the values, as properties, in data and by get()', async () => {
    const visitor = await start({});
    await visitor.post('/pages/fill');
    expect(await read(visitor, 'values')).toEqual(['[Ada|Ada|Ada] tea', 'Cookie', 'public, max-age=60', 0]);
    expect((await read(visitor, 'values-injected'))[0]).toBe('[Ada|Ada|Ada] rice');
    expect((await read(visitor, 'flash'))[0]).toBe('saved,sent');
    expect((await read(visitor, 'flash'))[0]).toBe('');
  });

  it('who is logged in is greeted, and no other', async () => {
    const visitor = await start({ auth: { users: AppUsers } });
    await visitor.post('/fill'); // a session, and nobody in it
    expect((await read(visitor, 'page'))[0]).toBe('Please log in');
    await loggedIn(visitor, newPerson('Grace'));
    expect(await read(visitor, 'page')).toEqual(['Hello Grace', 'Cookie', 'private', 0]);
    await visitor.post('/logout');
    expect((await read(visitor, 'page'))[0]).toBe('Please log in');
  });

  it('a page that looks at neither is the same for all, where there are no logins', async () => {
    const visitor = await start({});
    const answer = ['the same for all', null, null, 0];
    expect(await read(visitor, 'looks-away')).toEqual(answer);
    await visitor.post('/pages/fill');
    expect(await read(visitor, 'looks-away')).toEqual(answer);
    expect(await read(visitor, 'page')).toEqual(['Please log in', null, null, 0]);
  });

  it('what the handler gives goes before', async () => {
    const visitor = await start({ auth: { users: AppUsers } });
    expect((await read(await loggedIn(visitor, newPerson()), 'own-user'))[0]).toBe('Hello of the handler');
  });
});
