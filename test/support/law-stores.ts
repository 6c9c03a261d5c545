import type { ModuleMetadata } from '@nestjs/common';
import { MemorySessionStore, SessionClock, type SessionStoreOption } from 'nest-session';

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

export const lawStores: readonly LawStore[] = [memory];
