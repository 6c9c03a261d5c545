import type { ModuleMetadata } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { MemorySessionStore, SessionClock, type SessionStoreOption } from 'nest-session';
import { RedisSessionStore } from 'nest-session/redis';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { type DatabaseKind, databases } from './databases.js';
import { forgetAll, newPrefix, REDIS_URL, redisIsThere } from './redis-service.js';

/** A store on which every law is tested. */
export interface LawStore {
  readonly name: string;
  readonly isAvailable: boolean;
  /** Opens a place of its own for one run; `wiring` may be used by several applications. */
  open(): Promise<{
    wiring: { store: SessionStoreOption; imports?: ModuleMetadata['imports'] };
    cleanUp(): Promise<void>;
  }>;
}

const memory: LawStore = {
  name: 'memory',
  isAvailable: true,
  open: async () => {
    let store: MemorySessionStore | undefined;
    const useFactory = (clock: SessionClock) => (store ??= new MemorySessionStore(clock));
    return { wiring: { store: { useFactory, inject: [SessionClock] } }, cleanUp: async () => undefined };
  },
};

async function inDatabase(kind: DatabaseKind): Promise<LawStore> {
  return {
    name: kind.name,
    isAvailable: await kind.available(),
    open: async () => {
      const { options, drop } = await kind.create();
      const connection = TypeOrmModule.forRoot({ ...options, autoLoadEntities: true, synchronize: true });
      const store = TypeOrmSessionStore.with({ entity: kind.entity });
      return { wiring: { store, imports: [connection] }, cleanUp: drop };
    },
  };
}

async function inRedis(): Promise<LawStore> {
  return {
    name: 'Redis',
    isAvailable: await redisIsThere(),
    open: async () => {
      const prefix = newPrefix();
      const store = RedisSessionStore.with({ url: REDIS_URL, prefix });
      return { wiring: { store }, cleanUp: () => forgetAll(prefix) };
    },
  };
}

export const lawStores: readonly LawStore[] = [
  memory,
  ...(await Promise.all(databases.map(inDatabase))),
  await inRedis(),
];
