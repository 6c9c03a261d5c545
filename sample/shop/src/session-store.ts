import KeyvRedis, { Keyv } from '@keyv/redis';
import { CacheModule } from '@nestjs/cache-manager';
import type { DynamicModule, Type } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { FileSessionStore, MemorySessionStore, type SessionStoreOption } from 'nest-session';
import { CachedSessionStore, CacheSessionStore } from 'nest-session/cache';
import { EncryptedCookieSessions } from 'nest-session/cookie';
import { RedisSessionStore } from 'nest-session/redis';
import { MySqlSessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import type { ShopConfig } from './config.js';

/** What `STORE` names. Your application has one of these lines. */
export function storeOf(config: ShopConfig): SessionStoreOption {
  switch (config.store) {
    case 'typeorm':
      return databaseStore(config);
    case 'memory':
      return MemorySessionStore;
    case 'file':
      return FileSessionStore.with({ directory: config.sessionFolder });
    case 'redis':
      return RedisSessionStore.with({ url: config.redisUrl, prefix: config.redisPrefix });
    case 'cache':
      return CacheSessionStore.with({ imports: [cacheOf(config)] });
    case 'cached':
      return CachedSessionStore.with({ base: databaseStore(config), imports: [cacheOf(config)] });
    case 'cookie':
      return EncryptedCookieSessions;
  }
}

/** The database: the users are in it whatever the store is, and with `typeorm` and `cached` the sessions too. */
export function databaseOf({ database }: ShopConfig): DynamicModule {
  // `synchronize` creates the tables: good for a sample. Your application has migrations for that.
  return TypeOrmModule.forRoot({ ...database, autoLoadEntities: true, synchronize: true });
}

function databaseStore({ database }: ShopConfig): Type<TypeOrmSessionStore> {
  const isMySql = database.type === 'mysql' || database.type === 'mariadb';
  return isMySql ? TypeOrmSessionStore.with({ entity: MySqlSessionEntity }) : TypeOrmSessionStore;
}

function cacheOf({ redisUrl, redisPrefix }: ShopConfig): DynamicModule {
  return CacheModule.register({
    // The namespace belongs to Keyv, which gives its own to the adapter.
    stores: [
      new Keyv({ store: new KeyvRedis(redisUrl), namespace: `${redisPrefix}cache`, useKeyPrefix: false }),
    ],
  });
}
