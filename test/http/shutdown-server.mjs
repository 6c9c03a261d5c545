/**
 * A Nest application in a process of its own, to be stopped under load: see shutdown.spec.ts, which sends what to start and
 * hears on standard output, one JSON a line, what happens. Written synchronously, so that the last line arrives too.
 */
import 'reflect-metadata';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Controller, HttpCode, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';

const [{ library, platform, database, secret }] = await once(process, 'message');
process.disconnect();

const load = (path) => import(pathToFileURL(`${library}/${path}`).href);
const { Session, SessionModule, SessionStore } = await load('index.js');
const { SessionEntity, TypeOrmSessionStore } = await load('stores/typeorm/index.js');

const tell = (news) => writeSync(1, `${JSON.stringify(news)}\n`);
const COMMANDS = ['create', 'save', 'atomic', 'touch', 'rename', 'delete'];

/** Tells what is under way when it is closed, and what comes afterwards. */
function watch(store) {
  let underWay = 0;
  let isClosed = false;
  for (const command of COMMANDS) {
    const original = store[command].bind(store);
    store[command] = async (...args) => {
      if (isClosed) tell({ late: command });
      underWay++;
      return original(...args).finally(() => underWay--);
    };
  }
  const close = store.close.bind(store);
  store.close = async () => {
    tell({ closed: { underWay } });
    isClosed = true;
    await close();
  };
}

class Counter {
  count(session) {
    const count = (session.get('count') ?? 0) + 1;
    session.set('count', count);
    return { count };
  }

  async hit(session) {
    return { hits: await session.atomic('hits', (hits) => (hits ?? 0) + 1) };
  }

  async slow(session) {
    tell({ slow: 'begun' });
    while (server.listening) await sleep(5);
    await sleep(100); // a while after the server has stopped to listen
    session.set('slow', 'done');
    return { slow: 'done' };
  }
}
Controller()(Counter);
for (const name of ['count', 'hit', 'slow']) {
  Session()(Counter.prototype, name, 0);
  const method = Object.getOwnPropertyDescriptor(Counter.prototype, name);
  Post(name)(Counter.prototype, name, method);
  HttpCode(200)(Counter.prototype, name, method);
}

class ServerModule {}
Module({
  imports: [
    SessionModule.forRoot({ store: TypeOrmSessionStore, secret }),
    // Imported later, so closed earlier: the sessions' last commit must be done even so.
    TypeOrmModule.forRoot({ ...database, entities: [SessionEntity], retryAttempts: 0 }),
  ],
  controllers: [Counter],
})(ServerModule);

// A connection that was busy at the signal stays open for so long after its answer (Fastify: 72 s), and the process with it.
const keepAliveTimeout = 1_000;
const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter({ keepAliveTimeout });
const options = { logger: false, return503OnClosing: true }; // else clients that never pause are served for ever
const app = await NestFactory.create(ServerModule, adapter, options);
watch(app.get(SessionStore, { strict: false }));
app.enableShutdownHooks();
const server = app.getHttpServer();
server.keepAliveTimeout = keepAliveTimeout;
await app.listen(0, '127.0.0.1');
tell({ port: server.address().port });
