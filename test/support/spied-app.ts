import { type SessionRecord, SessionStore } from 'nest-session';
import { Browser } from './browser.js';
import { startApp, type TestApp, type TestAppOptions } from './http-app.js';
import { keyOfCookie } from './laws.js';

const COMMANDS = ['load', 'create', 'save', 'delete', 'touch', 'rename', 'atomic'] as const;

/** An application, and what it asked its store. */
export interface SpiedApp extends TestApp {
  readonly store: SessionStore;
  /** Names of the store's commands since the last `forget()`, in their order. */
  readonly commands: string[];
  forget(): void;
  visitor(): Browser;
  /** What is stored for a visitor. */
  recordOf(visitor: Browser): Promise<SessionRecord | undefined>;
}

export async function startSpiedApp(options: TestAppOptions): Promise<SpiedApp> {
  const app = await startApp(options);
  const store = app.get<SessionStore>(SessionStore);
  const load = store.load.bind(store);
  const commands: string[] = [];
  noteCommands(store, commands);
  return {
    ...app,
    store,
    commands,
    forget: () => void commands.splice(0),
    visitor: () => new Browser(app.url),
    recordOf: async (visitor) => load(keyOfCookie(await visitor.cookie('sessionid'))),
  };
}

/** Notes the name of each command that a store is given from now on. */
export function noteCommands(store: SessionStore, commands: string[]): void {
  for (const command of COMMANDS) {
    const original = (store[command] as (...args: unknown[]) => Promise<unknown>).bind(store);
    const noted = (...args: unknown[]) => {
      commands.push(command);
      return original(...args);
    };
    Object.assign(store, { [command]: noted });
  }
}
