import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DynamicModule, ModuleMetadata } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { type Cache, createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { FileSessionStore, MemorySessionStore, SessionClock, type SessionStoreOption } from 'nest-session';
import { CachedSessionStore, CacheSessionStore } from 'nest-session/cache';
import { RedisSessionStore } from 'nest-session/redis';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { type DatabaseKind, databases } from './databases.js';
import { forgetAll, newPrefix, REDIS_URL, redisIsThere } from './redis-service.js';

/** A store on which every law is tested. */
export interface LawStore {
  readonly name: string;
  readonly isAvailable: boolean;
  /** It finds no sessions by user. */
  readonly lacksUsers?: boolean;
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

const file: LawStore = {
  name: 'file',
  isAvailable: true,
  open: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'nest-session-'));
    const cleanUp = () => rm(directory, { recursive: true, force: true });
    return { wiring: { store: FileSessionStore.with({ directory }) }, cleanUp };
  },
};

async function inDatabase(kind: DatabaseKind): Promise<LawStore> {
  return {
    name: kind.name,
    isAvailable: await kind.available(),
    open: async () => {
      const { options, drop } = await kind.create();
      // Not autoLoadEntities: it collects the entities of all databases of a test file, and synchronising two for one
      // table empties it when a second application starts.
      const connection = TypeOrmModule.forRoot({ ...options, entities: [kind.entity], synchronize: true });
      const store = TypeOrmSessionStore.with({ entity: kind.entity });
      return { wiring: { store, imports: [connection] }, cleanUp: drop };
    },
  };
}

/** The applications of a run share their cache, as processes share a server. */
function sharedCache(cache: Cache): DynamicModule {
  class SharedCacheModule {}
  const providers = [{ provide: 'LAW_CACHE', useValue: cache }];
  return { module: SharedCacheModule, providers, exports: providers };
}

const cache: LawStore = {
  name: 'cache',
  isAvailable: true,
  lacksUsers: true,
  open: async () => {
    const entries = new Map<string, string>();
    const imports = [sharedCache(createCache({ stores: [new Keyv({ store: entries })] }))];
    const isTombstone = (entry: string) => 'gone' in JSON.parse(JSON.parse(entry).value as string);

    /** Law 5 asks what is left of a session; a cache can't be asked, but this one is at hand. */
    class CountingStore extends CacheSessionStore.with({ cache: 'LAW_CACHE', imports }) {
      override async count(): Promise<number> {
        return [...entries.values()].filter((entry) => !isTombstone(entry)).length;
      }
    }
    return { wiring: { store: CountingStore }, cleanUp: async () => undefined };
  },
};

const cached: LawStore = {
  name: 'cached SQLite',
  isAvailable: true,
  open: async () => {
    const { wiring, cleanUp } = await (await inDatabase(databases[0])).open();
    const imports = [sharedCache(createCache())];
    const options = { cache: 'LAW_CACHE', imports, singleProcess: true };
    const store = CachedSessionStore.with({ base: TypeOrmSessionStore, ...options });
    return { wiring: { ...wiring, store }, cleanUp };
  },
};

async function inRedis(): Promise<LawStore> {
  return {
    name: 'Redis',
    isAvailable: await redisIsThere(),
    open: async () => {
      const prefix = newPrefix();
      const store = RedisSessionStore.with({ url: REDIS_URL, prefix });
      return { wiring: { store }, cleanUp: async () => void (await forgetAll(prefix)) };
    },
  };
}

export const lawStores: readonly LawStore[] = [
  memory,
  file,
  ...(await Promise.all(databases.map(inDatabase))),
  await inRedis(),
  cache,
  cached,
];
