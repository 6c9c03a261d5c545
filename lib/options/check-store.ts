import { SessionStore } from '../stores/session-store.js';

const WAYS = ['useClass', 'useFactory', 'useExisting', 'useValue'];
const WHAT_IT_IS =
  'a store class, { useClass | useFactory | useExisting | useValue }, or a module that exports SessionStore';

/**
 * Whether `store` is something that Nest can provide: else its own error would name a provider that nobody wrote.
 *
 * @param problems gets what to write instead. A store that is missing is told with the other options
 */
export function isProvidable(store: unknown, problems: string[]): boolean {
  if (store === undefined || typeof store === 'function') return true;
  const given = Object(store) as object;
  if (isStore(given)) {
    problems.push(
      `store is an instance: write the class (store: ${nameOf(given)}), so that Nest makes it and a test can override it; ` +
        'or store: { useValue: yourInstance }.',
    );
    return false;
  }
  if ('module' in given || WAYS.some((way) => way in given)) return true;
  problems.push(`store is none that is known here: write ${WHAT_IT_IS}.`);
  return false;
}

/** Also one of the other build of this package, which is no instance of the same class. */
function isStore(given: object): boolean {
  if (given instanceof SessionStore) return true;
  const { load, create, save } = given as Partial<Record<keyof SessionStore, unknown>>;
  return [load, create, save].every((method) => typeof method === 'function');
}

function nameOf({ constructor }: object): string {
  return constructor?.name || 'MemorySessionStore';
}
