import { FileSessionStore } from 'nest-session';
import { CachedSessionStore, CacheSessionStore } from 'nest-session/cache';
import { EncryptedCookieSessions } from 'nest-session/cookie';
import { RedisSessionStore } from 'nest-session/redis';
import { TypeOrmSessionStore } from 'nest-session/typeorm';

describe('a store that with() made', () => {
  it.each([
    [FileSessionStore, FileSessionStore.with({ directory: '/nowhere' })],
    [RedisSessionStore, RedisSessionStore.with({ url: 'redis://localhost' })],
    [CacheSessionStore, CacheSessionStore.with({})],
    [CachedSessionStore, CachedSessionStore.with({ base: TypeOrmSessionStore })],
    [TypeOrmSessionStore, TypeOrmSessionStore.with({})],
    [EncryptedCookieSessions, EncryptedCookieSessions.with({})],
  ])('is called as users wrote it: %p', (written, made) => {
    expect(made).not.toBe(written);
    expect(made.name).toBe(written.name);
  });
});
