import { hash } from 'node:crypto';
import type { SessionRecord, Successor } from '../core/record.js';
import type { StoredIdentity } from '../core/session-state.js';
import type { IdTrails } from '../crypto/id-trails.js';
import type { SessionStore } from '../stores/session-store.js';
import { sessionOfUser } from '../stores/sessions-of-user.js';
import { type AskStore, isUnsupported } from './ask-store.js';

/**
 * Where a session is that is not under its key any more:
 *  - `living` under another one. `isReplaced`: it ended, and what lives is the session of another login, which took its place
 *    in the browser;
 *  - `ended`;
 *  - `absent`: there is no trace of it. It ended, or its tombstone is over, or was evicted;
 *  - `unknown`: it has a new id, and the store does not keep which.
 */
export type Found = LivingElsewhere | NotLiving;

interface Way {
  /** The renewals that were followed. */
  readonly hops: readonly Successor[];
  readonly isReplaced: boolean;
}

export interface LivingElsewhere extends Way {
  readonly kind: 'living';
  /** Its id is '' where only its browser can know it. */
  readonly session: StoredIdentity;
}

export interface NotLiving extends Way {
  readonly kind: 'ended' | 'absent' | 'unknown';
  /** The last id on the way; '' where nobody can know it. */
  readonly lastId: string;
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
    private readonly trails: IdTrails,
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
    return successor && this.#goOn(successor, { lastId: id, hops: [], isReplaced: true }, false);
  }

  /** @param alsoReplaced not new ids alone, but also what took the session's place */
  async #follow({ id, key, record }: StoredIdentity, alsoReplaced: boolean): Promise<Found> {
    const here = record.gone ? record : await this.#load(key);
    return this.#from(here, key, { lastId: id, hops: [], isReplaced: false }, alsoReplaced);
  }

  /** @param here what stands under the key */
  async #from(
    here: SessionRecord | undefined,
    key: string,
    { lastId, hops, isReplaced }: Way & { lastId: string },
    alsoReplaced: boolean,
  ): Promise<Found> {
    if (here && !here.gone)
      return { kind: 'living', session: { id: lastId, key, record: here }, hops, isReplaced };
    const isRenamed = here?.gone === 'renamed';
    const next = isRenamed ? here?.successor : alsoReplaced ? await this.#placeOf(lastId) : undefined;
    if (!next || hops.length >= MAX_HOPS) {
      const kind = isRenamed || next ? 'unknown' : here || isReplaced ? 'ended' : 'absent';
      return { kind, lastId, hops, isReplaced };
    }
    return this.#goOn(next, { lastId, hops, isReplaced: isReplaced || !isRenamed }, alsoReplaced);
  }

  async #goOn(
    next: Successor,
    { lastId, hops, isReplaced }: Way & { lastId: string },
    alsoReplaced: boolean,
  ): Promise<Found> {
    const way = { lastId: this.trails.open(lastId, next) ?? '', hops: [...hops, next], isReplaced };
    return this.#from(await this.#load(next.key), next.key, way, alsoReplaced);
  }

  async #placeOf(id: string): Promise<Successor | undefined> {
    return id === '' ? undefined : (await this.#load(placeKeyOf(id)))?.successor;
  }

  async #findOwned(ownerId: string, handle: string): Promise<StoredIdentity | undefined> {
    try {
      const find = () => sessionOfUser(this.store, ownerId, handle);
      const session = await this.asking.ask('findByUser', find);
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
