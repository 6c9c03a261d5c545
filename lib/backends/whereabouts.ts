import { hash } from 'node:crypto';
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
  | LivingElsewhere
  | {
      readonly kind: 'ended' | 'absent' | 'unknown';
      /** The last id on the way; '' where nobody can know it. */
      readonly lastId: string;
    };

export interface LivingElsewhere {
  readonly kind: 'living';
  readonly session: StoredIdentity;
  readonly hops: readonly Successor[];
  readonly isReplaced: boolean;
}

/** So many renewals are followed: more do not come together within `rotationGrace`, unless somebody plays with us. */
const MAX_HOPS = 20;

/**
 * Under this key stands, for `rotationGrace`, which session took the place of one in its browser: that of a login as
 * another user, or after the end of the old one. The first login to note it there is the one.
 */
export function placeKeyOf(id: string): string {
  return hash('sha256', `nest-session place of ${id}`, 'hex');
}

/** Follows sessions that got new ids, or were replaced, from tombstone to tombstone. */
export class Whereabouts {
  constructor(
    private readonly store: SessionStore,
    private readonly asking: AskStore,
    private readonly renewal: IdRenewal,
  ) {}

  /** Follows new ids alone. @param session as it was loaded: living, or the tombstone of one that is not there any more */
  follow(session: StoredIdentity): Promise<Found> {
    return this.#follow(session, false);
  }

  /**
   * Follows new ids, and then what took the session's place. Where no tombstone tells, it is looked for among the sessions
   * of its owner.
   *
   * @param ownerId undefined: nobody owns it
   */
  async find(session: StoredIdentity, ownerId: string | undefined): Promise<Found> {
    const found = await this.#follow(session, true);
    if (found.kind === 'living' || found.kind === 'ended' || ownerId === undefined) return found;
    const owned = await this.#findOwned(ownerId, session.record.handle);
    return owned ? { kind: 'living', session: owned, hops: [], isReplaced: false } : found;
  }

  /** What took the place of a session in its browser, wherever that is now; undefined when nothing did. */
  async inPlaceOf(id: string): Promise<Found | undefined> {
    const successor = await this.#placeOf(id);
    if (!successor) return undefined;
    const [newId, { key }] = [this.renewal.follow(id, successor) ?? '', successor];
    const record = await this.#load(key);
    if (!record) return { kind: 'ended', lastId: newId };
    return this.#follow({ id: newId, key, record }, false, [successor]);
  }

  async #follow(session: StoredIdentity, alsoReplaced: boolean, hops: Successor[] = []): Promise<Found> {
    let { key } = session;
    const ids = [session.id, ...(session.olderIds ?? [])];
    let here: SessionRecord | undefined = session.record.gone ? session.record : await this.#load(key);
    let isReplaced = hops.length > 0;
    while (hops.length < MAX_HOPS && (!here || here.gone)) {
      const isRenamed = here?.gone === 'renamed';
      const next: Successor | undefined = isRenamed
        ? here?.successor
        : alsoReplaced
          ? await this.#placeOf(ids[0])
          : undefined;
      if (!next)
        return { kind: isRenamed ? 'unknown' : here || isReplaced ? 'ended' : 'absent', lastId: ids[0] };
      hops.push(next);
      isReplaced ||= !isRenamed;
      // From the last id, or from that of a login which came with an older one.
      const known = ids.map((id) => this.renewal.follow(id, next)).find((id) => id !== undefined);
      ids.unshift(known ?? '');
      key = next.key;
      here = await this.#load(key);
    }
    if (!here || here.gone) return { kind: 'unknown', lastId: ids[0] };
    return {
      kind: 'living',
      session: { id: ids[0], key, record: here, olderIds: ids.slice(1) },
      hops,
      isReplaced,
    };
  }

  async #placeOf(id: string): Promise<Successor | undefined> {
    return id === '' ? undefined : (await this.#load(placeKeyOf(id)))?.successor;
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
