import type { INestApplication, ModuleMetadata, Provider, Type } from '@nestjs/common';
import { hash } from 'node:crypto';
import { type SessionModuleOptions, SessionStore } from 'nest-session';
import { FakeClock } from 'nest-session/testing';
import { Browser } from './browser.js';
import { type PlatformName, platforms, startApp, type TestApp } from './http-app.js';
import { type LawStore, lawStores } from './law-stores.js';

export interface LawOptions {
  controllers: Type[];
  providers?: Provider[];
  session?: Partial<SessionModuleOptions>;
  setUp?: (app: INestApplication, platform: PlatformName) => unknown;
  /** [all] The stores to which the tests apply. */
  on?: (store: LawStore) => boolean;
}

/** The stores that find sessions by user. */
export const withUsers = (store: LawStore): boolean => !store.lacksUsers;

/** One store for each way of keeping sessions that finds them by user: for what takes long, and is the same code in the others. */
export const oneOfEachKind = ({ name }: LawStore): boolean =>
  ['memory', 'SQLite', 'PostgreSQL', 'Redis'].includes(name);

/** What a law's tests work with: one application for all of them, a visitor for each. */
export interface Law {
  readonly platform: PlatformName;
  readonly app: TestApp;
  readonly store: SessionStore;
  /** Names of the store's commands since the last `forget()`, in their order. */
  readonly commands: readonly string[];
  forget(): void;
  visitor(): Browser;
  /** Another application on the same store, as a second process or a changed configuration would be. */
  another(options: Partial<LawOptions>): Promise<TestApp>;
}

const COMMANDS = ['load', 'create', 'save', 'delete', 'touch', 'rename', 'atomic'] as const;
export type Command = (typeof COMMANDS)[number];

/** Runs the tests of a law on Express and on Fastify, over every store that is there. */
export function describeLaw(title: string, options: LawOptions, tests: (law: Law) => void): void {
  const stores = options.on ? lawStores.filter(options.on) : lawStores;
  describe.each(stores)(`${title} · $name`, (lawStore: LawStore) => {
    const test = lawStore.isAvailable ? describe : describe.skip;
    test.each(platforms)('%s', (platform) => {
      let app: TestApp;
      let store: SessionStore;
      let wiring: { store: SessionModuleOptions['store']; imports?: ModuleMetadata['imports'] };
      let cleanUp: () => Promise<void>;
      const commands: string[] = [];
      const others: TestApp[] = [];
      const clock = new FakeClock();

      const start = ({ setUp, session, on: _, ...rest }: LawOptions) =>
        startApp({ platform, clock, ...wiring, session, setUp: (nest) => setUp?.(nest, platform), ...rest });

      beforeAll(async () => {
        const opened = await lawStore.open();
        ({ cleanUp } = opened);
        wiring = opened.wiring;
        app = await start(options);
        store = app.get<SessionStore>(SessionStore);
        record(store, commands);
      });
      afterAll(async () => {
        await Promise.all([app, ...others].map((each) => each?.close()));
        await cleanUp?.();
      });

      tests({
        platform,
        get app() {
          return app;
        },
        get store() {
          return store;
        },
        commands,
        forget: () => void commands.splice(0),
        visitor: () => new Browser(app.url),
        async another(changes) {
          const other = await start({ ...options, ...changes });
          others.push(other);
          return other;
        },
      });
    });
  });
}

/** Notes each command that the framework gives to the store; what a command calls inside is not noted. */
function record(store: SessionStore, commands: string[]): void {
  for (const command of COMMANDS) {
    const original = (store[command] as (...args: unknown[]) => Promise<unknown>).bind(store);
    Object.assign(store, {
      [command]: (...args: unknown[]) => {
        commands.push(command);
        return original(...args);
      },
    });
  }
}

/** A command of the store that waits: `reached` when it was called, `open()` lets it go on. */
export interface Gate {
  reached: Promise<void>;
  open(): void;
}

/** Holds back the next call of a command: before the store sees it, or what the store answered. */
export function gate(store: SessionStore, command: Command, place: 'before' | 'after' = 'before'): Gate {
  const original = store[command] as (...args: unknown[]) => Promise<unknown>;
  const opened = withResolvers<void>();
  const reached = withResolvers<void>();
  Object.assign(store, {
    [command]: async (...args: unknown[]) => {
      Object.assign(store, { [command]: original });
      const answer = place === 'after' ? await original.apply(store, args) : undefined;
      reached.resolve();
      await opened.promise;
      return place === 'after' ? answer : original.apply(store, args);
    },
  });
  return { reached: reached.promise, open: opened.resolve };
}

/** Makes the next call of a command answer otherwise: fail, or never come back. */
export function once(store: SessionStore, command: Command, answer: () => Promise<never>): void {
  const original = store[command];
  Object.assign(store, {
    [command]: () => {
      Object.assign(store, { [command]: original });
      return answer();
    },
  });
}

export const failing = () => Promise.reject(new Error('the server went away'));
export const hanging = () => new Promise<never>(() => undefined);

export function withResolvers<T>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}

/** The key under which a store keeps the session of a cookie. */
export function keyOfCookie(cookie: string | undefined): string {
  return hash('sha256', String(cookie).split('.')[0], 'hex');
}

/** Whether a promise is still pending after the server has answered `others` requests more. */
export async function isPending(
  promise: Promise<unknown>,
  browser: Browser,
  path = '/unused',
): Promise<boolean> {
  let isDone = false;
  promise.then(
    () => (isDone = true),
    () => (isDone = true),
  );
  for (let i = 0; i < 3; i++) await browser.get(path);
  return !isDone;
}
