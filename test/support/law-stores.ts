import type { ModuleMetadata } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { MemorySessionStore, SessionClock, type SessionStoreOption } from 'nest-session';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { type DatabaseKind, databases } from './databases.js';

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
      // Not autoLoadEntities: it collects the entities of all databases of a test file, and synchronising two for one
      // table empties it when a second application starts.
      const connection = TypeOrmModule.forRoot({ ...options, entities: [kind.entity], synchronize: true });
      const store = TypeOrmSessionStore.with({ entity: kind.entity });
      return { wiring: { store, imports: [connection] }, cleanUp: drop };
    },
  };
}

export const lawStores: readonly LawStore[] = [memory, ...(await Promise.all(databases.map(inDatabase)))];
