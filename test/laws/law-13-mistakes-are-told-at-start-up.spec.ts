import { Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  MemorySessionStore,
  type ResolvedSessionOptions,
  SessionModule,
  type SessionModuleOptions,
} from 'nest-session';
import { platforms, SECRET, startApp } from '../support/http-app.js';

const start = (options: Partial<SessionModuleOptions> & Record<string, unknown>) =>
  Test.createTestingModule({
    imports: [
      SessionModule.forRoot({
        store: MemorySessionStore,
        secret: SECRET,
        ...options,
      }),
    ],
  }).compile();

describe('law 13: mistakes are told at start-up', () => {
  it('starts with nothing but a store and a secret', async () => {
    await (await start({})).close();
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no secret', { secret: undefined }, /secret is missing: print a good one/],
    ['an empty array of secrets', { secret: [] }, /secret is missing/],
    ['a short secret', { secret: 'too short' }, /secret has fewer than 32 characters/],
    ['a short second secret', { secret: [SECRET, 'short'] }, /secret\[1\] has fewer than 32/],
    ['a second secret that is not set', { secret: [SECRET, undefined] }, /secret\[1\] is not a string/],
    ['no store', { store: undefined }, /store is missing: write store: MemorySessionStore/],
    [
      'a store instance',
      { store: new MemorySessionStore() },
      /store is an instance: write the class \(store: MemorySessionStore\).*or store: \{ useValue/,
    ],
    [
      'an instance of a store of the other build',
      { store: { load() {}, create() {}, save() {}, delete() {} } },
      /store is an instance: write the class/,
    ],
    ['a store that is none', { store: 'redis' }, /store is none that is known here: write a store class/],
    ['null for a store', { store: null }, /store is none that is known here/],
    ['a store by no way of Nest', { store: { class: MemorySessionStore } }, /store is none that is known/],
    [
      'users beside the store',
      { users: MemorySessionStore },
      /users is not an option: write auth: \{ users \}/,
    ],
    [
      'an attribute of the cookie beside it',
      { sameSite: 'lax' },
      /sameSite is not an option: write cookie: \{ sameSite/,
    ],
    ['SameSite=None without Secure', { cookie: { sameSite: 'none' } }, /'none' needs cookie.secure true/],
    ['Partitioned without Secure', { cookie: { partitioned: true } }, /partitioned needs cookie.secure true/],
    [
      '__Host- with a domain',
      { cookie: { name: '__Host-s', domain: 'example.com' } },
      /excludes cookie.domain/,
    ],
    ['__Host- with a path', { cookie: { name: '__Host-s', path: '/shop' } }, /needs cookie.path '\/'/],
    [
      '__Secure- without Secure',
      { cookie: { name: '__Secure-s', secure: false } },
      /needs cookie.secure true/,
    ],
    [
      'absolute shorter than idle',
      { idleTimeout: '2h', absoluteTimeout: '1h' },
      /shorter than idleTimeout: swap/,
    ],
    [
      'touchEvery not shorter than idle',
      { idleTimeout: '1h', touchEvery: '1h' },
      /touchEvery is not shorter/,
    ],
    ['control characters in the name', { cookie: { name: 'a\r\nb' } }, /cookie.name has characters/],
    [
      'a name that every request would carry for nothing',
      { cookie: { name: 'x'.repeat(129) } },
      /more than 128/,
    ],
    ['a semicolon in the name', { cookie: { name: 'a; Domain=evil' } }, /cookie.name has characters/],
    ['a semicolon in the path', { cookie: { path: '/; Domain=evil' } }, /cookie.path must begin/],
    ['a semicolon in the domain', { cookie: { domain: 'a.b; Path=/' } }, /cookie.domain is no host name/],
    ['a duration without a unit', { idleTimeout: '30' }, /idleTimeout is no duration/],
    ['a negative duration', { storeTimeout: -1 }, /storeTimeout is no duration/],
    [
      'a sweep that never pauses to begin',
      { sweep: { every: 0 } },
      /sweep.every is no time at all: write '1h'/,
    ],
    ['a sweep of nothing', { sweep: { batchSize: 0 } }, /sweep.batchSize is a number of sessions/],
    ['an option of express-session', { resave: false }, /resave is not an option: leave it out/],
    ['alwaysHttps as a text', { alwaysHttps: 'yes' }, /alwaysHttps is true or false/],
    [
      'a cookie that is not Secure where all is HTTPS',
      { alwaysHttps: true, cookie: { secure: false } },
      /alwaysHttps and cookie.secure false contradict each other/,
    ],
    ['csrf as a text', { csrf: 'on' }, /csrf is true, or an object/],
    ['csrf: null', { csrf: null }, /csrf is true, or an object/],
    [
      'a misspelt option of csrf',
      { csrf: { origins: [] } },
      /csrf.origins is not an option: .*trustedOrigins/,
    ],
    ['a switch of csrf as a text', { csrf: { everyone: 'no' } }, /csrf.everyone is true or false/],
    [
      'another switch of csrf as a number',
      { csrf: { requireToken: 1 } },
      /csrf.requireToken is true or false/,
    ],
    [
      'trusted origins that are no array',
      { csrf: { trustedOrigins: 'https://a.example' } },
      /is an array: write/,
    ],
    [
      'a trusted null',
      { csrf: { trustedOrigins: ['null'] } },
      /\[0\] is 'null', which every page in a sandbox/,
    ],
    ...[
      ...[
        '*',
        '',
        'shop.example',
        '//shop.example',
        'https://',
        'https:shop.example',
        'https://*.example.com',
      ],
      ...['https://a.example/', 'https://a.example/x', 'https://a.example?x', 'https://a.example#x'],
      ...['https://user@a.example', 'https://a.example:99999', 'https://a.example\n', ' https://a.example'],
      ...['https://a.example, https://b.example', 'https://a.example\\x', 7, null, undefined],
    ].map((origin): [string, Record<string, unknown>, RegExp] => [
      `a trusted origin that is none: ${JSON.stringify(origin)}`,
      { csrf: { trustedOrigins: ['https://good.example', origin] } },
      /csrf.trustedOrigins\[1\] is no origin: write scheme:\/\/host\[:port\] without a path/,
    ]),
    [
      'a misspelt option',
      { idelTimeout: '1h' },
      /idelTimeout is not an option: the options are store, auth, secret, idleTimeout/,
    ],
    [
      'maxAge in the cookie',
      { cookie: { maxAge: 1000 } },
      /cookie.maxAge is not an option: write idleTimeout/,
    ],
  ])('refuses %s', async (_, options, message) => {
    await expect(start(options)).rejects.toThrow(message);
  });

  it('tells an option of the factory that stands beside it, and one of forRootAsync that the factory returns', async () => {
    const useFactory = () => ({ secret: SECRET, store: MemorySessionStore });
    const options = { store: MemorySessionStore, idleTimeout: '1h', useFactory };
    const starting = Test.createTestingModule({ imports: [SessionModule.forRootAsync(options)] }).compile();
    await expect(starting).rejects.toThrow(
      /idleTimeout is not an option of forRootAsync: return it from useFactory[^]*store is not an option: write it beside useFactory/,
    );
  });

  it('tells all mistakes at once', async () => {
    const mistakes = {
      store: undefined,
      secret: 'short',
      idleTimeout: '2h',
      absoluteTimeout: '1h',
      maxSize: -1,
    };
    const error: unknown = await start({ ...mistakes, cookie: { sameSite: 'none' } }).catch(
      (thrown: unknown) => thrown,
    );
    expect((error as { problems: string[] }).problems).toHaveLength(5);
    for (const problem of (error as { problems: string[] }).problems)
      expect(String(error)).toContain(problem);
  });

  it('takes origins as browsers write them, and as people do', async () => {
    const trustedOrigins = [
      'https://a.example',
      'http://localhost:3000',
      'HTTPS://B.Example:443',
      'http://[::1]:80',
    ];
    const csrf = { trustedOrigins: [...trustedOrigins, 'https://bücher.example', 'capacitor://localhost'] };
    const module = await start({ csrf });
    const resolved = module.get<ResolvedSessionOptions>(Symbol.for('nest-session.ResolvedSessionOptions'));
    expect([...resolved.csrf.trustedOrigins]).toEqual([
      ...['https://a.example', 'http://localhost:3000', 'https://b.example', 'http://[::1]'],
      ...['https://xn--bcher-kva.example', 'capacitor://localhost'],
    ]);
    await module.close();
  });

  it('lets defaults adapt: only two values that were written can contradict each other', async () => {
    for (const options of [{ idleTimeout: '60d' }, { absoluteTimeout: '1h' }])
      await (await start(options)).close();
  });

  it('refuses a second registration, and an import without forRoot()', async () => {
    const once = SessionModule.forRoot({ store: MemorySessionStore, secret: SECRET });
    const twice = SessionModule.forRoot({ store: MemorySessionStore, secret: SECRET });
    await expect(Test.createTestingModule({ imports: [once, twice] }).compile()).rejects.toThrow(
      /registered twice/,
    );
    await expect(Test.createTestingModule({ imports: [SessionModule] }).compile()).rejects.toThrow(
      /without forRoot/,
    );
    await expect(Test.createTestingModule({ imports: [once, SessionModule] }).compile()).rejects.toThrow(
      /without forRoot/,
    );
  });

  it('takes one registration that two modules import', async () => {
    const sessions = SessionModule.forRoot({ store: MemorySessionStore, secret: SECRET });
    @Module({ imports: [sessions] })
    class Feature {}
    await (await Test.createTestingModule({ imports: [Feature, sessions] }).compile()).close();
  });

  it.each(platforms)('refuses a second session library on %s', async (platform) => {
    if (platform === 'fastify') {
      const { default: fastifyCookie } = await import('@fastify/cookie');
      const { default: fastifySession } = await import('@fastify/session');
      const starting = startApp({
        platform,
        setUp: async (app) => {
          const fastify = app.getHttpAdapter().getInstance() as {
            register(plugin: unknown, options?: object): unknown;
          };
          await fastify.register(fastifyCookie);
          await fastify.register(fastifySession, { secret: SECRET });
        },
      });
      await expect(starting).rejects.toThrow(/Another session library claims request.session/);
      return;
    }
    const { default: session } = await import('express-session');
    const starting = startApp({
      platform,
      setUp: (nest) => nest.use(session({ secret: SECRET, resave: false, saveUninitialized: false })),
    });
    await expect(starting).rejects.toThrow(/Another session library claims request.session/);
  });

  it('sees express-session in a Router, too, and names it', async () => {
    const { default: session } = await import('express-session');
    const { Router } = await import('express');
    const inner = Router().use(session({ secret: SECRET, resave: false, saveUninitialized: false }));
    const starting = startApp({
      platform: 'express',
      setUp: (nest) => nest.use('/legacy', Router().use('/shop', inner)),
    });
    await expect(starting).rejects.toThrow(/^express-session is there, by app.use\(\) or in a Router/);
  });

  it('refuses a library that puts its own session on the request, at the first request', async () => {
    const app = await startApp({
      platform: 'express',
      setUp: (nest) =>
        nest.use((request: object, _: unknown, next: (error?: unknown) => void) => {
          (request as { session: unknown }).session = {};
          next();
        }),
    });
    const answer = await fetch(app.url);
    await app.close();
    expect(answer.status).toBe(500);
  });
});
