import { SessionStoreUnsupportedError } from 'nest-session';
import { EncryptedCookieSessions } from 'nest-session/cookie';

describe('EncryptedCookieSessions, in the place of a store', () => {
  const marker = new EncryptedCookieSessions();

  it.each(['load', 'create', 'save', 'delete', 'findByUser', 'deleteByUser', 'count', 'atomic'] as const)(
    'refuses %s(), for it keeps no sessions that could be found',
    async (method) => {
      const call = marker[method] as (...args: unknown[]) => Promise<unknown>;
      await expect(call.call(marker, 'k', 'x', () => 'y')).rejects.toThrow(SessionStoreUnsupportedError);
      await expect(call.call(marker, 'k', 'x', () => 'y')).rejects.toThrow('EncryptedCookieSessions has no ');
    },
  );

  it('has nothing to clean, to ask or to close', async () => {
    expect(marker.expiresByItself).toBe(true);
    expect(await marker.deleteExpired()).toBe(0);
    await expect(Promise.all([marker.ping(), marker.close()])).resolves.toBeDefined();
  });
});
