import 'reflect-metadata';
import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import { Controller, Get, Module, Session as PeersSession } from '@nestjs/common';
import { APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import expressSession from 'express-session';
import { MemorySessionStore, Session, SessionModule } from 'nest-session';

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
const nestSession = () =>
  rootModule({
    imports: [SessionModule.forRoot({ store: MemorySessionStore, secret: SECRET })],
    controllers: [controller(RoutesWithNestSession, Session())],
  });
const withPeer = () =>
  rootModule({ controllers: [controller(RoutesWithPeer, PeersSession())], providers: [emptyInterceptor] });

/** The peers' cheapest settings: what they save and send without need is switched off. */
const PEER_OPTIONS = { secret: SECRET, saveUninitialized: false, resave: false, rolling: false };

/**
 * The applications of each platform. Each begins as `baseline`; `none` shows what the empty interceptor costs.
 *
 * @type {Record<string, Record<string, () => Promise<import('node:http').Server>>>}
 */
export const applications = {
  fastify: {
    none: () => start(withoutInterceptor(), new FastifyAdapter()),
    baseline: () => start(baseline(), new FastifyAdapter()),
    'nest-session': () => start(nestSession(), new FastifyAdapter()),
    '@fastify/session': () =>
      start(withPeer(), new FastifyAdapter(), async (app) => {
        await app.register(fastifyCookie);
        await app.register(fastifySession, { ...PEER_OPTIONS, cookie: { secure: false } });
      }),
  },
  express: {
    none: () => start(withoutInterceptor(), new ExpressAdapter()),
    baseline: () => start(baseline(), new ExpressAdapter()),
    'nest-session': () => start(nestSession(), new ExpressAdapter()),
    'express-session': () =>
      start(withPeer(), new ExpressAdapter(), (app) => app.use(expressSession(PEER_OPTIONS))),
  },
};

async function start(module, adapter, configure) {
  const app = await NestFactory.create(module, adapter, { logger: ['error'] });
  await configure?.(app);
  await app.init();
  await app.getHttpAdapter().getInstance().ready?.();
  return app.getHttpServer();
}
