import 'reflect-metadata';
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import { Controller, Get, Module, Session as PeersSession } from '@nestjs/common';
import { APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import expressSession from 'express-session';
import { from, mergeMap } from 'rxjs';
import { Session, SessionModule } from 'nest-session';

const SECRET = 'a secret for measuring, kept nowhere else';

/** 300 bytes of JSON. */
const CART = {
  items: ['green tea', 'oolong', 'rooibos', 'darjeeling'].map((name, index) => ({
    sku: `tea-${1000 + index}`,
    name,
    quantity: index + 1,
    price: 4.5,
    gift: false,
  })),
};

/** Does what Nest asks of an interceptor, and nothing else: what every measurement is compared with. */
class EmptyInterceptor {
  intercept(context, next) {
    return next.handle();
  }
}

const emptyInterceptor = { provide: APP_INTERCEPTOR, useClass: EmptyInterceptor };

/** The same four routes everywhere, with answers of the same size; `seed` prepares a session and is not measured. */
class RoutesWithoutSession {
  seed() {
    return { views: 1, items: 4 };
  }
  unused() {
    return { views: 1, items: 4 };
  }
  read() {
    return { views: 1, items: 4 };
  }
  write() {
    return { views: 1, items: 4 };
  }
}

class RoutesWithNestSession extends RoutesWithoutSession {
  seed(session) {
    session.set('cart', CART).set('views', 1);
    return super.seed();
  }
  read(session) {
    return { views: session.get('views'), items: session.get('cart').items.length };
  }
  write(session) {
    const views = session.get('views') + 1;
    session.set('views', views);
    return { views, items: 4 };
  }
}

class RoutesWithPeer extends RoutesWithoutSession {
  seed(session) {
    Object.assign(session, { cart: CART, views: 1 });
    return super.seed();
  }
  read(session) {
    return { views: session.views, items: session.cart.items.length };
  }
  write(session) {
    session.views++;
    return { views: session.views, items: 4 };
  }
}

/** What a compiler makes of decorators: a controller of its own for each application. */
function controller(Routes, sessionDecorator) {
  class Measured extends Routes {}
  for (const name of ['seed', 'unused', 'read', 'write']) {
    const handler = { [name]: (...args) => Routes.prototype[name](...args) }[name];
    Object.defineProperty(Measured.prototype, name, { value: handler, writable: true, configurable: true });
    if (sessionDecorator && name !== 'unused') sessionDecorator(Measured.prototype, name, 0);
    Get(name)(Measured.prototype, name, Object.getOwnPropertyDescriptor(Measured.prototype, name));
  }
  Controller()(Measured);
  return Measured;
}

function rootModule(metadata) {
  class RootModule {}
  Module(metadata)(RootModule);
  return RootModule;
}

const withoutInterceptor = () => rootModule({ controllers: [controller(RoutesWithoutSession)] });
const baseline = () =>
  rootModule({ controllers: [controller(RoutesWithoutSession)], providers: [emptyInterceptor] });
const nestSession = ({ imports = [], store }) =>
  rootModule({
    imports: [...imports, SessionModule.forRoot({ store, secret: SECRET })],
    controllers: [controller(RoutesWithNestSession, Session())],
  });
const withPeer = () =>
  rootModule({ controllers: [controller(RoutesWithPeer, PeersSession())], providers: [emptyInterceptor] });

/**
 * The least that a session can be, written by hand for these routes: an HMAC over the id, one GET and JSON.parse, one SET
 * where something was written. No deadlines, no laws.
 */
function handWritten({ get, set }) {
  const sign = (id) => createHmac('sha256', SECRET).update(id).digest('base64url');
  const isSigned = (id, mac) => {
    const expected = Buffer.from(sign(id));
    const given = Buffer.from(mac);
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
  class HandWritten {
    async intercept(context, next) {
      const request = context.getArgByIndex(0);
      const response = context.getArgByIndex(1);
      const route = request.url.slice(1);
      if (route === 'unused') return next.handle();
      const [, id, mac] = /(?:^|; )sessionid=([^.;]+)\.([^;]+)/.exec(request.headers.cookie ?? '') ?? [];
      const key = id && isSigned(id, mac) ? id : randomBytes(32).toString('base64url');
      request.session = key === id ? JSON.parse((await get(key)) ?? '{}') : {};
      if (route === 'read') return next.handle();
      return next.handle().pipe(
        mergeMap((value) => {
          if (key !== id)
            response.header('Set-Cookie', `sessionid=${key}.${sign(key)}; Path=/; HttpOnly; SameSite=Lax`);
          return from(set(key, JSON.stringify(request.session)).then(() => value));
        }),
      );
    }
  }
  return rootModule({
    controllers: [controller(RoutesWithPeer, PeersSession())],
    providers: [{ provide: APP_INTERCEPTOR, useClass: HandWritten }],
  });
}

/** The peers' cheapest settings: what they save and send without need is switched off. */
const PEER_OPTIONS = { secret: SECRET, saveUninitialized: false, resave: false, rolling: false };

/**
 * The applications that are compared on a platform, over one kind of store (stores.js). Each begins as `baseline`; `none`
 * shows what the empty interceptor costs.
 *
 * @param {'fastify' | 'express'} platform
 * @returns {Record<string, () => Promise<{ server: import('node:http').Server, close(): Promise<void> }>>}
 */
export function applicationsOn(platform, { nestSession: wiring, floor, peers }) {
  const adapter = () => (platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter());
  const all = {
    none: () => start(withoutInterceptor(), adapter()),
    baseline: () => start(baseline(), adapter()),
    'nest-session': () => start(nestSession(wiring), adapter()),
  };
  if (floor) all['written by hand'] = () => start(handWritten(floor), adapter());
  for (const [name, store] of Object.entries(peers[platform] ?? {}))
    all[name] = () => start(withPeer(), adapter(), PEERS[platform](store));
  return all;
}

const PEERS = {
  fastify: (store) => async (app) => {
    await app.register(fastifyCookie);
    await app.register(fastifySession, { ...PEER_OPTIONS, store, cookie: { secure: false } });
  },
  express: (store) => (app) => app.use(expressSession({ ...PEER_OPTIONS, store })),
};

async function start(module, adapter, configure) {
  const app = await NestFactory.create(module, adapter, { logger: ['error'] });
  await configure?.(app);
  await app.init();
  await app.getHttpAdapter().getInstance().ready?.();
  return { server: app.getHttpServer(), close: () => app.close() };
}
