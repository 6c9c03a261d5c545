import type { FindByUserOptions, SessionStore, StoredSession } from './session-store.js';

/**
 * The living sessions of exactly this user, whatever a database takes for the same text: case, accents, blanks at the end. A
 * second wall behind the stores' own.
 *
 * @throws what the store throws, also SessionStoreUnsupportedError
 */
export async function sessionsOfUser(
  store: SessionStore,
  userId: string,
  options: FindByUserOptions,
): Promise<StoredSession[]> {
  const found = await store.findByUser(userId, options);
  const { handle } = options;
  return found.filter(
    ({ record }) => record.userId === userId && (handle === undefined || record.handle === handle),
  );
}

/** One of them, by its public name. */
export async function sessionOfUser(
  store: SessionStore,
  userId: string,
  handle: string,
  options: Omit<FindByUserOptions, 'handle'> = {},
): Promise<StoredSession | undefined> {
  const [session] = await sessionsOfUser(store, userId, { ...options, handle });
  return session;
}
