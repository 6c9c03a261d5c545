import type { SessionClock } from '../core/clock.js';
import { AUTH, type AuthValue, PENDING, pendingValueOf } from '../core/login-values.js';
import {
  applyChange,
  type SessionChange,
  type SessionRecord,
  type Successor,
  tombstoneOf,
} from '../core/record.js';
import type { SessionSerializer } from '../core/serializer.js';
import { keyOf, newHandle } from '../core/session-id.js';
import type { Proof, StoredIdentity } from '../core/session-state.js';
import { reasonOf } from '../crypto/id-trails.js';
import type { StoredSessions } from './stored-sessions.js';
import type { Found, LivingElsewhere } from './whereabouts.js';

/** How often a session is followed that gets one new id after the other. */
const MAX_TRIES = 20;

/** A proof that is written: in which session, how, and what ended by it. */
export interface Written {
  readonly session: StoredIdentity;
  readonly done: 'created' | 'saved' | 'rotated';
  readonly ended: readonly SessionRecord[];
}

/** Why a proof can't go on in what a session has become: that ended, is somebody else's, or nobody knows where it is. */
type NotJoined =
  | { readonly kind: 'ended' | 'unknown'; readonly lastId: string }
  | { readonly kind: 'foreign'; readonly session: StoredIdentity };

/**
 * Writes what somebody has proved, where other requests work on the same session: so that a form which is sent twice ends
 * in one session, with one entry in the list of devices, and a login leaves no other session behind.
 *
 * Where a proof of the same user gave the session its newer id, or began the one that took its place, that id is kept: both
 * answers carry the same cookie, and it does not matter which comes last. Whoever had the old id alone does not know it. An
 * id that a mere cycle gave is replaced: a thief of the old id may have made it, and must not stay in after a login (law 8).
 */
export class Proofs {
  constructor(
    private readonly sessions: StoredSessions,
    private readonly serializer: SessionSerializer,
    private readonly clock: SessionClock,
  ) {}

  /**
   * Begins a new session, and ends those that the request's cookies name, where they can be found.
   *
   * @param replaced what the cookies name, also if it is over: the new session takes the place of the first
   */
  async begin(record: SessionRecord, proof: Proof, replaced: readonly StoredIdentity[]): Promise<Written> {
    const ended: SessionRecord[] = [];
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      // A handle names one session: that of the try before has ended, and its tombstone may still have it.
      const begun = tries === 0 ? record : { ...record, handle: newHandle(record.createdAt) };
      const session = await this.sessions.create(begun);
      const twin = await this.#settleIn(session, proof, replaced, ended);
      if (!twin) return { session, done: 'created', ended };
      // The same login was faster, and its session has taken the place already: it is this one's too.
      await this.sessions.endHere(session.key);
      const joined = await this.#join(twin, changeOf(record), proof);
      if ('done' in joined) return { ...joined, ended };
    }
    throw new Error(`The session was replaced ${MAX_TRIES} times while it began.`);
  }

  /**
   * Brings a change into the session that the request had loaded, wherever that is now; a login begins another one where it
   * is not there any more.
   *
   * @returns undefined when a refresh finds its session ended
   */
  async bringBack(loaded: StoredIdentity, change: SessionChange, proof: Proof): Promise<Written | undefined> {
    const found = await this.sessions.whereabouts.find(loaded, loaded.record.userId ?? proof.userId);
    const joined = await this.#join(found, change, proof);
    if ('done' in joined) return joined;
    if (proof.kind === 'refresh') return undefined;
    // What ended stays ended, with all that was in it; only where nobody knows what became of it, the visitor keeps that.
    const values = joined.kind === 'unknown' ? loaded.record.values : {};
    const createdAt = this.clock.now();
    const begun = applyChange({ ...loaded.record, values }, change);
    const record = { ...begun, handle: newHandle(createdAt), createdAt };
    const replaced = joined.kind === 'foreign' ? joined.session : asOver(loaded, joined.lastId);
    return this.begin(record, proof, [replaced]);
  }

  /** Whether what a session has become is where a login of this user goes on. */
  isOfSameUser({ session: { record } }: LivingElsewhere, userId: string): boolean {
    return this.#provedUserOf(record) === userId;
  }

  /**
   * Takes the place of what the cookies name, and ends it.
   *
   * @param ended is told what ended
   * @returns the session of a parallel login of the same user, where that was faster
   */
  async #settleIn(
    session: StoredIdentity,
    proof: Proof,
    replaced: readonly StoredIdentity[],
    ended: SessionRecord[],
  ): Promise<LivingElsewhere | undefined> {
    try {
      for (const named of replaced) {
        const twin = await this.#replace(named, session, proof, ended);
        if (twin) return twin;
      }
      return undefined;
    } catch (error) {
      await this.sessions.endHere(session.key).catch(() => undefined); // nobody was told of it
      throw error;
    }
  }

  /** Under each id that the replaced session has had since it was loaded: another login may know any of them. */
  async #replace(
    replaced: StoredIdentity,
    session: StoredIdentity,
    proof: Proof,
    ended: SessionRecord[],
  ): Promise<LivingElsewhere | undefined> {
    let here = replaced;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (here.record.gone !== 'renamed') {
        const twin = await this.#takePlace(here.id, session, proof, ended);
        if (twin || here.record.gone) return twin;
        if (await this.sessions.endHere(here.key)) {
          ended.push(here.record);
          return undefined;
        }
      }
      const found = await this.sessions.whereabouts.follow(here);
      if (found.kind !== 'living') return this.#takePlace(found.lastId, session, proof, ended);
      if (this.isOfSameUser(found, proof.userId) && isRenewedFor(proof, found.hops)) return found;
      here = found.session;
    }
    return undefined;
  }

  /**
   * The place at the end of all that took it before: what another user's login has put there ends.
   *
   * @param id of the session that is to be replaced
   */
  async #takePlace(
    id: string,
    session: StoredIdentity,
    proof: Proof,
    ended: SessionRecord[],
  ): Promise<LivingElsewhere | undefined> {
    let place = id;
    for (let tries = 0; tries < MAX_TRIES && !(await this.sessions.takePlace(place, session)); tries++) {
      const rival = await this.sessions.whereabouts.inPlaceOf(place);
      // Its time is just over; or it was taken by this very session, and whoever came later has seen to that.
      if (!rival || rival.hops.some(({ key }) => key === session.key)) return undefined;
      if (rival.kind === 'living') {
        if (this.isOfSameUser(rival, proof.userId)) return rival;
        if (await this.sessions.endHere(rival.session.key)) ended.push(rival.session.record);
      }
      place = rival.kind === 'living' ? rival.session.id : rival.lastId;
    }
    return undefined;
  }

  async #join(start: Found, change: SessionChange, proof: Proof): Promise<Written | NotJoined> {
    const hops: Successor[] = [];
    let found = start;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (found.kind !== 'living')
        return { kind: found.kind === 'unknown' ? 'unknown' : 'ended', lastId: found.lastId };
      const { session } = found;
      hops.push(...found.hops);
      const owner = this.#provedUserOf(session.record);
      if (owner !== undefined && owner !== proof.userId) return { kind: 'foreign', session };
      const fitting = this.#fit(change, session.record, proof);
      if (!fitting) return { kind: 'ended', lastId: session.id };
      const written = await this.#write(session, fitting, proof, hops);
      if (written) return written;
      found = await this.sessions.whereabouts.find(session, proof.userId);
    }
    return { kind: 'unknown', lastId: '' };
  }

  async #write(
    session: StoredIdentity,
    change: SessionChange,
    proof: Proof,
    hops: readonly Successor[],
  ): Promise<Written | undefined> {
    const keepsId = isRenewedFor(proof, hops) && session.id !== '';
    const written = keepsId
      ? await this.sessions.save(session, change)
      : await this.sessions.rename(session, change, proof);
    return written && { session: written, done: keepsId ? 'saved' : 'rotated', ended: [] };
  }

  /** Who has proved something in this session: its owner, or whose second factor is outstanding. */
  #provedUserOf({ userId, values }: SessionRecord): string | undefined {
    if (userId !== undefined || !Object.hasOwn(values, PENDING)) return userId;
    return pendingValueOf(this.#parse(values[PENDING]))?.userId;
  }

  /**
   * The change as it fits to what the session has become.
   *
   * @returns undefined: who was logged in is so no more, and there is nothing left to refresh
   */
  #fit(change: SessionChange, { userId, values }: SessionRecord, { kind }: Proof): SessionChange | undefined {
    const auth = userId !== undefined && Object.hasOwn(values, AUTH) ? values[AUTH] : undefined;
    if (kind === 'refresh') {
      if (auth === undefined) return undefined;
      // A confirmation that came first stays.
      const { hash } = Object(this.#parse(change.set[AUTH])) as AuthValue;
      const refreshed = this.serializer.stringify({ ...Object(this.#parse(auth)), hash });
      return { ...change, set: { ...change.set, [AUTH]: refreshed } };
    }
    if (auth === undefined || change.authentication) return change;
    // A first factor that comes late does not log out who has given the second meanwhile.
    const { [PENDING]: _, ...set } = change.set;
    return { ...change, set, removed: change.removed.filter((name) => name !== AUTH) };
  }

  #parse(text: string): unknown {
    try {
      return this.serializer.parse(text);
    } catch {
      return undefined; // unreadable: nobody can use it
    }
  }
}

/** A session that was loaded alive, and is not there any more; under the last id that it had. */
function asOver(loaded: StoredIdentity, id: string): StoredIdentity {
  return { id, key: keyOf(id), record: tombstoneOf(loaded.record, 'ended', 0) };
}

/** Whether the renewals hold one that makes another needless for this proof. */
export function isRenewedFor({ kind }: Pick<Proof, 'kind'>, hops: readonly Successor[]): boolean {
  const reasons = hops.map(reasonOf);
  return reasons.includes('proof') || (kind === 'refresh' && reasons.includes('refresh'));
}

/** What a session that was to begin brings into one that has begun already. */
function changeOf(record: SessionRecord): SessionChange {
  const { values, lastSeenAt, expiresAt, absoluteExpiresAt, policy, userId } = record;
  return {
    set: values,
    removed: [],
    lastSeenAt,
    expiresAt,
    basedOn: policy,
    policy,
    authentication: userId === undefined ? undefined : { userId, absoluteExpiresAt },
  };
}
