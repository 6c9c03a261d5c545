/**
 * What `@Authenticated()` costs: CPU time that SessionGuard adds to a protected route whose user is loaded already, over
 * a guard that returns true. Beside it what it costs to find the user, with a provider that answers at once.
 *
 * node bench/guard.js [--quick]
 */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Authenticated, MemorySessionStore, Session, SessionAuth, SessionModule } from 'nest-session';
import { Connection } from './connection.js';
import { difference, inWords } from './statistics.js';

/** Added µs of CPU per request. */
const GOAL = 3;
const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values;
const [ROUNDS, REQUESTS, WARM_UP] = quick ? [20, 2_000, 10_000] : [120, 2_000, 20_000];
const CONNECTIONS = 10;
const USER = {
  id: 'ada',
  name: 'Ada',
  passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g',
};

class Users {
  findById() {
    return USER;
  }
  idOf({ id }) {
    return id;
  }
  authHash({ passwordHash }) {
    return passwordHash;
  }
}

class ReturnsTrue {
  canActivate() {
    return true;
  }
}

/** Stands for whatever has loaded the user before: a logger, a guard of the application, a page's frame. */
function loadsUser(load) {
  class LoadsUser {
    constructor(auth) {
      this.auth = auth;
    }
    async canActivate(context) {
      const { session } = context.switchToHttp().getRequest();
      if (load === 'user') await this.auth.user(session);
      else await session.load();
      return true;
    }
  }
  return { provide: APP_GUARD, useFactory: (auth) => new LoadsUser(auth), inject: [SessionAuth] };
}

/** @param load what is there before the route's guard runs: `user`, or the `session` alone */
function rootModule(guard, load) {
  class Routes {
    constructor(auth) {
      this.auth = auth;
    }
    async login(session) {
      session.set('cart', ['tea']);
      await this.auth.login(session, USER);
      return {};
    }
    account(session) {
      return { items: session.get('cart').length };
    }
  }
  Reflect.defineMetadata('design:paramtypes', [SessionAuth], Routes);
  for (const name of ['login', 'account']) {
    Session()(Routes.prototype, name, 0);
    const descriptor = Object.getOwnPropertyDescriptor(Routes.prototype, name);
    Get(name)(Routes.prototype, name, descriptor);
    if (name === 'account') guard(Routes.prototype, name, descriptor);
  }
  Controller()(Routes);
  class RootModule {}
  const secret = 'a secret for measuring, kept nowhere else';
  Module({
    imports: [SessionModule.forRoot({ store: MemorySessionStore, secret, auth: { users: Users } })],
    controllers: [Routes],
    providers: [loadsUser(load)],
  })(RootModule);
  return RootModule;
}

const applications = {
  'returns true, user loaded': rootModule(UseGuards(ReturnsTrue), 'user'),
  'SessionGuard, user loaded': rootModule(Authenticated({ within: '1h' }), 'user'),
  'returns true, session loaded': rootModule(UseGuards(ReturnsTrue), 'session'),
  'SessionGuard, session loaded': rootModule(Authenticated({ within: '1h' }), 'session'),
};

const clients = {};
for (const [name, module] of Object.entries(applications)) clients[name] = await connect(module);
for (const client of Object.values(clients)) await serve(client, WARM_UP);

const rounds = Object.fromEntries(Object.keys(clients).map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round++) {
  const names = Object.keys(clients);
  for (let i = 0; i < names.length; i++) {
    const name = names[(i + round) % names.length]; // nobody is always the first
    rounds[name].push(await cpuPerRequest(clients[name]));
  }
}

const added = difference(rounds['SessionGuard, user loaded'], rounds['returns true, user loaded']);
const withUser = difference(rounds['SessionGuard, session loaded'], rounds['returns true, session loaded']);
console.log(
  `Node ${process.version}, ${cpus()[0].model}; ${ROUNDS} rounds of ${REQUESTS} requests on Fastify, median [middle half]`,
);
console.log(`guard, user loaded: + ${inWords(added)}`);
console.log(`guard that finds the user and checks the auth hash: + ${inWords(withUser)}`);
console.log(`guard ≤ ${GOAL} µs: ${added.median.toFixed(1)} µs ${added.median <= GOAL ? 'met' : 'NOT MET'}`);
process.exit(0);

async function connect(module) {
  const app = await NestFactory.create(module, new FastifyAdapter(), { logger: ['error'] });
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  const connections = Array.from({ length: CONNECTIONS }, () => new Connection(app.getHttpServer()));
  const requests = [];
  for (const connection of connections) {
    const cookie = /\r\nset-cookie: ([^;]+)/i.exec(await connection.send(requestFor('login')))?.[1];
    requests.push(requestFor('account', cookie));
  }
  assert.match(await connections[0].send(requests[0]), /200 OK[^]*\{"items":1\}$/);
  return { connections, requests };
}

function requestFor(route, cookie) {
  const headers = [`GET /${route} HTTP/1.1`, 'Host: shop.example', 'Accept: application/json'];
  if (cookie) headers.push(`Cookie: ${cookie}`);
  return Buffer.from(`${headers.join('\r\n')}\r\n\r\n`);
}

async function cpuPerRequest(client) {
  const before = process.cpuUsage();
  await serve(client, REQUESTS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / REQUESTS;
}

async function serve({ connections, requests }, count) {
  for (let done = 0; done < count; done += connections.length) {
    await Promise.all(connections.map((connection, index) => connection.send(requests[index])));
    await new Promise(setImmediate);
  }
}
