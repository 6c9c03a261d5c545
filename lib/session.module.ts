import {
  type DynamicModule,
  Inject,
  type MiddlewareConsumer,
  Module,
  type ModuleMetadata,
  type NestModule,
  type OnApplicationShutdown,
  Optional,
  type Provider,
  type Type,
} from '@nestjs/common';
import { CsrfTokens } from './crypto/csrf-tokens.js';
import { SessionCsrfGuard } from './auth/csrf/session-csrf.guard.js';
import {
  APP_GUARD,
  APP_INTERCEPTOR,
  ApplicationConfig,
  HttpAdapterHost,
  ModulesContainer,
} from '@nestjs/core';
import { hasLoginPages } from './auth/access-rule.js';
import type { SessionAuthOptions } from './auth/auth-options.js';
import { AUTH_EXPORTS, AUTH_IS_MISSING, authProviders } from './auth/auth-providers.js';
import { LoginRedirectFilter } from './auth/login-redirect.filter.js';
import { type ResolvedAuthOptions, resolveAuthOptions } from './auth/resolve-auth-options.js';
import { SessionAuth } from './auth/session-auth.js';
import { SessionGuard } from './auth/session.guard.js';
import { SessionClock, SystemClock } from './core/clock.js';
import { isProvidable } from './options/check-store.js';
import { withHiddenSecret } from './options/hidden.js';
import { resolveOptions, type ResolvedSessionOptions } from './options/resolve-options.js';
import { SESSION_SERIALIZER } from './core/serializer.js';
import { Sessions } from './detached/sessions.js';
import { SessionOptionsError } from './errors.js';
import { SessionEvents } from './events/session-events.js';
import { SessionHealthIndicator } from './health/session-health.indicator.js';
import { SessionCookieCodec } from './http/cookie-codec.js';
import { eagerLoad } from './http/eager-load.js';
import { hasPassiveRoutes } from './http/passive.decorator.js';
import { PassiveGuard } from './http/passive.guard.js';
import { installRequestSession } from './http/platforms.js';
import { RequestSessions } from './http/request-sessions.js';
import { SessionInterceptor } from './http/session.interceptor.js';
import type { SessionOptions, SessionStoreClass, SessionStoreProvider } from './session-options.js';
import { SessionStore } from './stores/session-store.js';
import { SessionSweeper } from './sweep/session-sweeper.js';
import {
  RESOLVED_AUTH_OPTIONS,
  RESOLVED_SESSION_OPTIONS,
  SESSION_CLOCK,
  SESSION_COOKIE_CODEC,
  SESSION_OPTIONS,
  SESSION_STORE,
  SESSIONS,
} from './tokens.js';

/** A store class · a provider without its `provide` · a module that exports `SessionStore`. */
export type SessionStoreOption = SessionStoreClass | SessionStoreProvider | DynamicModule;

export interface SessionModuleOptions extends SessionOptions {
  /**
   * [required] Where sessions are kept: `TypeOrmSessionStore`, `RedisSessionStore.with({ url })`, `MemorySessionStore` in
   * development … A class and not an instance: Nest makes it, injects what it needs, and a test overrides it by
   * `overrideProvider(SessionStore)`. Or `{ useClass | useFactory | useExisting | useValue, inject, imports }`, or a
   * dynamic module that exports `SessionStore`.
   */
  store: SessionStoreOption;
  /** Logins: who your users are, and what routes ask of them. */
  auth?: SessionAuthOptions;
}

/** Makes the options when the module starts; `useClass` and `useExisting` name one of these. */
export interface SessionOptionsFactory {
  createSessionOptions(): SessionOptions | Promise<SessionOptions>;
}

export interface SessionModuleAsyncOptions {
  /** Modules whose providers the factory injects, and the store too. */
  imports?: ModuleMetadata['imports'];
  inject?: unknown[];
  useFactory?: (...args: never[]) => SessionOptions | Promise<SessionOptions>;
  useClass?: Type<SessionOptionsFactory>;
  useExisting?: unknown;
  /** [required] As in `forRoot`. It stands here and not in what the factory returns: Nest has to know it before. */
  store: SessionStoreOption;
  /** Logins: who your users are, and what routes ask of them. */
  auth?: SessionAuthOptions;
}

/**
 * Sessions for the whole application: import it once, in the root module.
 *
 * @example
 * SessionModule.forRoot({ store: TypeOrmSessionStore, secret: process.env.SESSION_SECRET })
 */
@Module({})
export class SessionModule implements NestModule, OnApplicationShutdown {
  /** Gives the platform's instance free for another application. */
  #release: (() => void) | undefined;

  constructor(
    @Inject(ModulesContainer) modules: ModulesContainer,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Optional() @Inject(RESOLVED_SESSION_OPTIONS) private readonly options?: ResolvedSessionOptions,
    @Optional() @Inject(RequestSessions) private readonly sessions?: RequestSessions,
    @Optional() @Inject(SESSION_STORE) private readonly store?: SessionStore,
    @Optional() @Inject(ApplicationConfig) config?: ApplicationConfig,
    @Optional() @Inject(RESOLVED_AUTH_OPTIONS) auth?: ResolvedAuthOptions,
    @Optional() @Inject(SessionGuard) guard?: SessionGuard,
  ) {
    refuseSecondRegistration(modules);
    if (config && sessions && someController(modules, hasPassiveRoutes))
      config.addGlobalGuard(new PassiveGuard(sessions));
    if (!config || !auth) return;
    // Before all enhancers of the application: of filters Nest asks the last one first, so that theirs win, and of guards the
    // first, so that theirs find a user. An APP_GUARD would cost every route also where none is required.
    if (auth.loginUrl ?? auth.secondFactorUrl ?? auth.confirmUrl ?? someController(modules, hasLoginPages))
      config.addGlobalFilter(new LoginRedirectFilter(host));
    if (auth.required && guard) config.addGlobalGuard(guard);
  }

  /**
   * Sessions by options that are written down, or read from the environment.
   *
   * Wrong ones are told when the application starts, all at once, by a SessionOptionsError.
   *
   * @example
   * SessionModule.forRoot({
   *   store: TypeOrmSessionStore,
   *   secret: process.env.SESSION_SECRET,
   *   auth: { users: AppUsers, loginUrl: '/login' }, // if users log in
   * })
   */
  static forRoot(options: SessionModuleOptions): DynamicModule {
    const { store, auth, ...rest } = options;
    return sessionModule(store, auth, [{ provide: SESSION_OPTIONS, useValue: withHiddenSecret(rest) }]);
  }

  /**
   * Sessions by options that another provider makes; `store` and `auth` stand beside the factory.
   *
   * @throws SessionOptionsError at once, where no factory is named
   * @example
   * SessionModule.forRootAsync({
   *   store: TypeOrmSessionStore,
   *   inject: [ConfigService],
   *   useFactory: (config: ConfigService) => ({ secret: config.getOrThrow<string>('SESSION_SECRET') }),
   * })
   */
  static forRootAsync(options: SessionModuleAsyncOptions): DynamicModule {
    const problems = Object.keys(options)
      .filter((name) => !ASYNC_OPTIONS.has(name))
      .map((name) => `${name} is not an option of forRootAsync: return it from useFactory, { ${name} }.`);
    return sessionModule(options.store, options.auth, optionsProviders(options), options.imports, problems);
  }

  configure(_consumer: MiddlewareConsumer): void {
    const { httpAdapter } = this.host;
    if (!httpAdapter || !this.sessions) return; // a worker or a script: no requests
    const eager = this.options?.load === 'eager' ? eagerLoad(this.sessions) : undefined;
    this.#release = installRequestSession(httpAdapter, this.sessions, eager);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#release?.();
    await this.store?.close();
  }
}

const ASYNC_OPTIONS = new Set<string>([
  'imports',
  'inject',
  'useFactory',
  'useClass',
  'useExisting',
  'store',
  'auth',
] satisfies (keyof SessionModuleAsyncOptions)[]);

function sessionModule(
  given: SessionStoreOption | undefined,
  auth: SessionAuthOptions | undefined,
  providers: Provider[],
  imports: ModuleMetadata['imports'] = [],
  problems: string[] = [],
): DynamicModule {
  const store = isProvidable(given, problems) ? given : undefined;
  const resolvedAuth = auth && resolveAuthOptions(auth, problems);
  return {
    module: SessionModule,
    global: true,
    imports: [...imports, ...storeImports(store), ...(auth?.imports ?? [])],
    providers: [
      ...providers,
      ...storeProviders(store),
      {
        provide: RESOLVED_SESSION_OPTIONS,
        useFactory: (options: SessionOptions) => resolveOptions(options, given !== undefined, problems),
        inject: [SESSION_OPTIONS],
      },
      { provide: SessionClock, useClass: SystemClock },
      SessionCookieCodec,
      SessionEvents,
      SessionHealthIndicator,
      RequestSessions,
      SessionSweeper,
      Sessions,
      { provide: SESSIONS, useExisting: Sessions },
      {
        provide: SESSION_SERIALIZER,
        useFactory: (options: ResolvedSessionOptions) => options.serializer,
        inject: [RESOLVED_SESSION_OPTIONS],
      },
      // Aliases that follow the classes, so that whoever overrides a class overrides what the framework uses.
      { provide: SESSION_STORE, useExisting: SessionStore },
      { provide: SESSION_CLOCK, useExisting: SessionClock },
      { provide: SESSION_COOKIE_CODEC, useExisting: SessionCookieCodec },
      CsrfTokens,
      SessionCsrfGuard,
      // Undefined, and so no guard for Nest to run, where nobody asked for it.
      {
        provide: APP_GUARD,
        useFactory: ({ csrf }: ResolvedSessionOptions, guard: SessionCsrfGuard) =>
          csrf.isGlobal ? guard : undefined,
        inject: [RESOLVED_SESSION_OPTIONS, SessionCsrfGuard],
      },
      { provide: APP_INTERCEPTOR, useClass: SessionInterceptor },
      ...(auth && resolvedAuth ? authProviders(auth, resolvedAuth) : [AUTH_IS_MISSING]),
    ],
    exports: [
      ...(isModule(store) ? [] : [SessionStore]),
      SessionClock,
      SessionCookieCodec,
      SessionEvents,
      SessionHealthIndicator,
      RequestSessions,
      CsrfTokens,
      SessionCsrfGuard,
      Sessions,
      SESSIONS,
      SESSION_OPTIONS,
      RESOLVED_SESSION_OPTIONS,
      SESSION_SERIALIZER,
      SESSION_STORE,
      SESSION_CLOCK,
      SESSION_COOKIE_CODEC,
      ...(auth ? AUTH_EXPORTS : [SessionAuth]),
    ],
  };
}

function storeImports(store: SessionStoreOption | undefined): NonNullable<ModuleMetadata['imports']> {
  if (store === undefined) return [];
  if (isModule(store)) return [store];
  if (typeof store === 'function') return store.sessionImports?.() ?? [];
  const own = 'useClass' in store ? (store.useClass.sessionImports?.() ?? []) : [];
  return [...(store.imports ?? []), ...own];
}

function storeProviders(store: SessionStoreOption | undefined): Provider[] {
  if (isModule(store)) return [];
  // Without a store the options complain, together with all else that is wrong with them.
  if (store === undefined)
    return [{ provide: SessionStore, useFactory: () => undefined, inject: [RESOLVED_SESSION_OPTIONS] }];
  if (typeof store === 'function') return [{ provide: SessionStore, useClass: store }];
  const { imports: _, ...provider } = store;
  return [{ provide: SessionStore, ...provider } as Provider];
}

function isModule(store: SessionStoreOption | undefined): store is DynamicModule {
  return typeof store === 'object' && 'module' in store;
}

function optionsProviders(options: SessionModuleAsyncOptions): Provider[] {
  const { useFactory, useClass, useExisting, inject = [] } = options;
  if (useFactory) {
    const hiding = async (...args: never[]) => withHiddenSecret(await useFactory(...args));
    return [{ provide: SESSION_OPTIONS, useFactory: hiding, inject } as Provider];
  }
  const factory = (useClass ?? useExisting) as Type<SessionOptionsFactory> | undefined;
  if (factory === undefined) {
    throw new SessionOptionsError(['forRootAsync needs useFactory, useClass or useExisting.']);
  }
  const provider: Provider = {
    provide: SESSION_OPTIONS,
    useFactory: async (made: SessionOptionsFactory) => withHiddenSecret(await made.createSessionOptions()),
    inject: [factory],
  };
  return useClass ? [useClass, provider] : [provider];
}

function someController(
  modules: ModulesContainer,
  has: (controller: { readonly prototype: object }) => boolean,
): boolean {
  const controllers = [...modules.values()].flatMap((each) => [...each.controllers.values()]);
  return controllers.some(({ metatype }) => typeof metatype === 'function' && has(metatype));
}

function refuseSecondRegistration(modules: ModulesContainer): void {
  // The other build of the package has another class, but the same tokens.
  const registrations = [...modules.values()].filter(
    ({ metatype, providers }) => metatype === SessionModule || providers.has(RESOLVED_SESSION_OPTIONS),
  );
  const isBare = registrations.some(({ providers }) => !providers.has(RESOLVED_SESSION_OPTIONS));
  if (isBare) {
    throw new SessionOptionsError([
      'SessionModule is imported without forRoot(): it is global, import SessionModule.forRoot() once, in the root module.',
    ]);
  }
  if (registrations.length > 1) {
    throw new SessionOptionsError([
      'SessionModule is registered twice: it is global, import SessionModule.forRoot() once, in the root module.',
    ]);
  }
}
