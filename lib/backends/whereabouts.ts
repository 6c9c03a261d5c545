import type { SessionRecord, Successor } from '../core/record.js';
import type { StoredIdentity } from '../core/session-state.js';
import type { IdRenewal } from '../crypto/id-renewal.js';
import type { SessionStore } from '../stores/session-store.js';
import { type AskStore, isUnsupported } from './ask-store.js';

/**
 * Where a session is that is not under its key any more:
 *  - `living` under another one, by the renewals `hops`. Its id is '' where only its browser can know it. `isReplaced`: it
 *    ended, and what lives is the session of another login, which took its place in the browser;
 *  - `ended`;
 *  - `absent`: there is no trace of it. It ended, or its tombstone is over, or was evicted;
 *  - `unknown`: it has a new id, and the store does not keep which.
 */
export type Found =
  | {
      readonly kind: 'living';
      readonly session: StoredIdentity;
      readonly hops: readonly Successor[];
      readonly isReplaced: boolean;
    }
  | { readonly kind: 'ended' | 'absent' | 'unknown' };

/** So many renewals are followed: more do not come together within `rotationGrace`, unless somebody plays with us. */
const MAX_HOPS = 20;

/** Follows sessions that got new ids, or were replaced, from tombstone to tombstone. */
export class Whereabouts {
  constructor(
    private readonly store: SessionStore,
    private readonly asking: AskStore,
    private readonly renewal: IdRenewal,
  ) {}

  /** @param session as it was loaded: living, or the tombstone of one that was renamed */
  async follow({ id, key, record }: StoredIdentity): Promise<Found> {
    const hops: Successor[] = [];
    const ids = [id];
    let isReplaced = false;
    let here: SessionRecord | undefined = record.gone ? record : await this.#load(key);
    while (here?.gone && here.successor && hops.length < MAX_HOPS) {
      const { successor, gone }: SessionRecord = here;
      isReplaced ||= gone === 'ended';
      hops.push(successor);
      // Usually the last one: a login that came with an older id names that one's way.
      ids.unshift(this.renewal.follow(ids, successor) ?? '');
      key = successor.key;
      here = await this.#load(key);
    }
    if (!here) return { kind: isReplaced ? 'ended' : 'absent' };
    if (!here.gone) return { kind: 'living', session: { id: ids[0], key, record: here }, hops, isReplaced };
    return { kind: isReplaced || here.gone === 'ended' ? 'ended' : 'unknown' };
  }

  /**
   * The same, and where no tombstone tells, it is looked for among the sessions of its owner.
   *
   * @param ownerId undefined: nobody owns it
   */
  async find(session: StoredIdentity, ownerId: string | undefined): Promise<Found> {
    const found = await this.follow(session);
    if (found.kind === 'living' || found.kind === 'ended' || ownerId === undefined) return found;
    const owned = await this.#findOwned(ownerId, session.record.handle);
    return owned ? { kind: 'living', session: owned, hops: [], isReplaced: false } : found;
  }

  async #findOwned(ownerId: string, handle: string): Promise<StoredIdentity | undefined> {
    try {
      const sessions = await this.asking.ask('findByUser', () => this.store.findByUser(ownerId));
      const session = sessions.find(({ record }) => record.handle === handle);
      return session && { id: '', ...session };
    } catch (error) {
      if (isUnsupported(error)) return undefined;
      throw error;
    }
  }

  #load(key: string): Promise<SessionRecord | undefined> {
    return this.asking.ask('load', () => this.store.load(key));
  }
}
