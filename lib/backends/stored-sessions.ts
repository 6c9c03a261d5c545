import type { EpochMs, SessionClock } from '../core/clock.js';
import { applyChange, type SessionChange, type SessionRecord, tombstoneOf } from '../core/record.js';
import { keyOf, newHandle, newId } from '../core/session-id.js';
import type { Proof, StoredIdentity } from '../core/session-state.js';
import type { IdTrails, RenewalReason } from '../crypto/id-trails.js';
import type { SessionStore } from '../stores/session-store.js';
import type { AskStore } from './ask-store.js';
import { placeKeyOf, Whereabouts } from './whereabouts.js';

/** How often a new id is tried: with 256 bits a collision means that the random generator is broken. */
const MAX_ID_TRIES = 5;

/** How often a session is followed that gets one new id after the other while it is to be ended. */
const MAX_CHASES = 20;

/**
 * What became of a session that was to be ended: it `ended` by this call, was `over` already, or is `lost`: it has a new id
 * that the store does not tell, and lives on.
 */
export type Chased =
  { readonly kind: 'ended'; readonly record: SessionRecord } | { readonly kind: 'over' | 'lost' };

/** What is done to sessions in a store, whatever a request wants with it: each is one command, or follows a new id. */
export class StoredSessions {
  readonly whereabouts: Whereabouts;

  constructor(
    private readonly store: SessionStore,
    private readonly asking: AskStore,
    private readonly trails: IdTrails,
    private readonly rotationGraceMs: number,
    private readonly clock: SessionClock,
  ) {
    this.whereabouts = new Whereabouts(store, asking, trails);
  }

  /** Stores a new session under a new id. */
  async create(record: SessionRecord): Promise<StoredIdentity> {
    for (let tries = 0; tries < MAX_ID_TRIES; tries++) {
      const id = newId();
      const key = keyOf(id);
      if (await this.asking.ask('create', () => this.store.create(key, record))) return { id, key, record };
    }
    throw this.#noFreeId('create');
  }

  /** @returns the session as it is then; undefined when it is not living under its key */
  async save(session: StoredIdentity, change: SessionChange): Promise<StoredIdentity | undefined> {
    const { key, record } = session;
    const isSaved = await this.asking.ask('save', () => this.store.save(key, change, record));
    return isSaved ? { ...session, record: applyChange(record, change) } : undefined;
  }

  /** Gives a session a new id, with a change. @returns the session then; undefined when it is not living under its key */
  async rename(
    { id: oldId, key: oldKey, record }: StoredIdentity,
    change: SessionChange,
    proof: Proof | undefined,
  ): Promise<StoredIdentity | undefined> {
    const until = this.#graceEnd();
    for (let tries = 0; tries < MAX_ID_TRIES; tries++) {
      const id = newId();
      const key = keyOf(id);
      const trail = oldId === '' ? undefined : this.trails.seal(oldId, id, reasonFor(proof));
      const renaming = () => this.store.rename(oldKey, key, { ...change, trail }, until, record);
      const outcome = await this.asking.ask('rename', renaming);
      if (outcome === 'gone') return undefined;
      if (outcome === 'renamed') return { id, key, record: applyChange(record, change) };
    }
    throw this.#noFreeId('rename');
  }

  /** Ends a session, wherever it went, and what has taken its place. Its key is known as ended for `rotationGrace`. */
  async end(loaded: StoredIdentity): Promise<Chased> {
    let session = loaded;
    for (let chase = 0; chase < MAX_CHASES; chase++) {
      const { key, record } = session;
      if (!record.gone && (await this.endHere(key))) return { kind: 'ended', record };
      const found = await this.whereabouts.find(session, loaded.record.userId);
      if (found.kind !== 'living') return { kind: found.kind === 'unknown' ? 'lost' : 'over' };
      session = found.session;
    }
    throw this.asking.failed('delete', new Error(`A session got a new id ${MAX_CHASES} times in a row.`));
  }

  /** Ends what is living under a key. @returns whether there was something */
  endHere(key: string): Promise<boolean> {
    return this.asking.ask('delete', () => this.store.delete(key, this.#graceEnd()));
  }

  /**
   * Notes that a new session takes the place of another one in its browser.
   *
   * @param oldId that of the other one; '' where only its browser knows it: then nothing can be noted
   * @returns false when a parallel login has done so before
   */
  async takePlace(oldId: string, { id, key, record }: StoredIdentity): Promise<boolean> {
    if (oldId === '' || this.rotationGraceMs === 0) return true;
    const trail = this.trails.seal(oldId, id, 'proof');
    const handle = newHandle(this.clock.now());
    const mark = tombstoneOf({ ...record, handle }, 'ended', this.#graceEnd(), { key, trail });
    return this.asking.ask('create', () => this.store.create(placeKeyOf(oldId), mark));
  }

  #noFreeId(operation: 'create' | 'rename'): Error {
    return this.asking.failed(operation, new Error(`${MAX_ID_TRIES} new ids in a row were taken.`));
  }

  #graceEnd(): EpochMs {
    return this.clock.now() + this.rotationGraceMs;
  }
}

function reasonFor(proof: Proof | undefined): RenewalReason {
  if (!proof) return 'cycle';
  return proof.kind === 'refresh' ? 'refresh' : 'proof';
}
