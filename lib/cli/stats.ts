import type { Command } from 'commander';
import { hasCode } from '../errors.js';
import type { SessionStore } from '../stores/session-store.js';
import { addStoreOptions, type OnStore, onStore, type StoreOptions, type Surroundings } from './on-store.js';
import { columns } from './texts.js';

export function addStatsCommand(program: Command, surroundings: Surroundings): void {
  addStoreOptions(program.command('stats').description('count the sessions')).action(
    (options: StoreOptions) => onStore(options, surroundings, (on) => stats(options, on)),
  );
}

async function stats({ json }: StoreOptions, on: OnStore): Promise<void> {
  const { store, storeName, terminal, interruption } = on;
  const { expiresByItself } = store;
  const living = await interruption.race(unlessUnsupported(() => store.count()));
  const expired = await interruption.race(expiredCountOf(store));
  if (json) {
    const unknown = null;
    return terminal.printJson({
      store: storeName,
      living: living ?? unknown,
      expired: expired ?? unknown,
      expiresByItself,
    });
  }
  const waiting = expiresByItself ? 'none, they leave by themselves' : told(expired);
  terminal.print(
    columns([
      ['Store', storeName],
      ['Living sessions', told(living)],
      ['Expired, to be cleared', waiting],
    ]),
  );
}

/** @returns undefined where the store can't tell */
export function expiredCountOf(store: SessionStore): Promise<number | undefined> {
  return unlessUnsupported(() => store.countExpired());
}

async function unlessUnsupported(ask: () => Promise<number>): Promise<number | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (hasCode(error, 'SESSION_STORE_UNSUPPORTED')) return undefined;
    throw error;
  }
}

function told(count: number | undefined): string {
  return count === undefined ? 'unknown, this store does not count them' : String(count);
}
