import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModuleMetadata } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { FileSessionStore, MemorySessionStore, SessionClock, type SessionStoreOption } from 'nest-session';
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
      const connection = TypeOrmModule.forRoot({ ...options, autoLoadEntities: true, synchronize: true });
      const store = TypeOrmSessionStore.with({ entity: kind.entity });
      return { wiring: { store, imports: [connection] }, cleanUp: drop };
    },
  };
}

export const lawStores: readonly LawStore[] = [
  memory,
  file,
  ...(await Promise.all(databases.map(inDatabase))),
];
