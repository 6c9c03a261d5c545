import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import {
  type INestApplication,
  type MiddlewareConsumer,
  Module,
  type ModuleMetadata,
  type NestModule,
  type Provider,
  type Type,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { failureLog } from './failure-log.js';
import {
  MemorySessionStore,
  SessionClock,
  SessionModule,
  type SessionModuleOptions,
  type SessionStoreOption,
} from 'nest-session';
import { FakeClock } from 'nest-session/testing';

export type PlatformName = 'express' | 'fastify';
export const platforms: readonly PlatformName[] = ['express', 'fastify'];

export const SECRET = 'a secret for tests, of more than 32 characters';

export interface TestAppOptions {
  platform: PlatformName;
  controllers?: Type[];
  providers?: Provider[];
  imports?: ModuleMetadata['imports'];
  store?: SessionStoreOption;
  session?: Partial<SessionModuleOptions>;
  clock?: FakeClock;
  /** The platform believes X-Forwarded-Proto. */
  trustsProxy?: boolean;
  /** A middleware of a Nest module, for all routes. */
  middleware?: (request: never, response: never, next: () => void) => void;
  /** Before `init`: global filters, middleware, plugins. */
  setUp?: (app: INestApplication) => unknown;
  override?: (builder: TestingModuleBuilder) => TestingModuleBuilder;
}

export interface TestApp {
  app: INestApplication;
  url: string;
  clock: FakeClock;
  get<T>(token: Parameters<INestApplication['get']>[0]): T;
  close(): Promise<void>;
}

interface ExpressSettings {
  set(name: string, value: unknown): void;
}

/** A Nest application with sessions, listening on a port of its own. */
export async function startApp(options: TestAppOptions): Promise<TestApp> {
  const clock = options.clock ?? new FakeClock();
  let builder = Test.createTestingModule({
    imports: [
      ...(options.imports ?? []),
      ...(options.middleware ? [moduleWith(options.middleware)] : []),
      SessionModule.forRoot({
        store: options.store ?? MemorySessionStore,
        secret: SECRET,
        storeTimeout: '1m', // a busy machine is no failure
        ...options.session,
      }),
    ],
    controllers: options.controllers,
    providers: options.providers,
  })
    .overrideProvider(SessionClock)
    .useValue(clock);
  if (options.override) builder = options.override(builder);
  const module = await builder.compile();
  const { platform, trustsProxy = false } = options;
  const adapter =
    platform === 'express' ? new ExpressAdapter() : new FastifyAdapter({ trustProxy: trustsProxy });
  if (platform === 'express' && trustsProxy) adapter.getInstance<ExpressSettings>().set('trust proxy', 1);
  const app = module.createNestApplication(adapter as ExpressAdapter, { logger: failureLog });
  await options.setUp?.(app);
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  return {
    app,
    url: `http://127.0.0.1:${port}`,
    clock,
    get: (token) => app.get(token),
    close: () => app.close(),
  };
}

function moduleWith(middleware: NonNullable<TestAppOptions['middleware']>): Type {
  class MiddlewareModule implements NestModule {
    configure(consumer: MiddlewareConsumer): void {
      consumer.apply(middleware as never).forRoutes('{*path}');
    }
  }
  Module({})(MiddlewareModule);
  return MiddlewareModule;
}
