import type { SessionClock } from '../core/clock.js';
import { checkJson } from '../core/json-values.js';
import { applyTouch, RECORD_FORMAT, type SessionRecord } from '../core/record.js';
import { keyOf } from '../core/session-id.js';
import {
  type CommitPlan,
  type Presence,
  SessionState,
  type StateOrigin,
  type StoredIdentity,
} from '../core/session-state.js';
import { IdTrails } from '../crypto/id-trails.js';
import { SessionFormatException, SessionInterruptedException, SessionRotatedException } from '../errors.js';
import { type SessionEvents, subjectOf } from '../events/session-events.js';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import type { SessionStore } from '../stores/session-store.js';
import { sessionOfUser } from '../stores/sessions-of-user.js';
import { AskStore } from './ask-store.js';
import { cookieValues } from './cookie-header.js';
import { warnOfForeignCookie } from '../events/foreign-cookie.js';
import { isRenewedFor, Proofs, type Written } from './proofs.js';
import type { Committed, CookiePlace, CookiesRead, CookieToSet, SessionBackend } from './session-backend.js';
import { StoredSessions } from './stored-sessions.js';

/** An id that a request presented, verified to be one of ours. */
export interface PresentedId {
  readonly id: string;
  readonly isSignedByOldSecret: boolean;
}

/** Writes ids into cookie values, signed, and reads them back. */
export interface IdCodec {
  encode(id: string, cookieName: string): string;
  /** @returns undefined for whatever this application did not sign under this name */
  decode(value: string, cookieName: string): PresentedId | undefined;
}

/**
 * So many ids of ours one request may bring: a browser has two where the cookie's domain or path has changed, and one more
 * where another site of the domain has set one. More are believed no more than two living ones, and cost no command.
 */
const MAX_IDS = 4;

const NOTHING: CookiesRead<PresentedId> = { tokens: [], presentNames: [] };

type ChangePlan = CommitPlan & { readonly kind: 'save' | 'rename' };

/** Sessions in a store, behind an id that the cookie holds. */
export class StoredBackend implements SessionBackend<PresentedId> {
  readonly livesInCookie = false;
  readonly #asking: AskStore;
  readonly #sessions: StoredSessions;
  readonly #proofs: Proofs;

  constructor(
    private readonly store: SessionStore,
    private readonly options: ResolvedSessionOptions,
    private readonly clock: SessionClock,
    private readonly events: SessionEvents,
    private readonly codec: IdCodec,
  ) {
    const { storeTimeoutMs, rotationGraceMs, secrets } = options;
    this.#asking = new AskStore(storeTimeoutMs, events);
    this.#sessions = new StoredSessions(store, this.#asking, new IdTrails(secrets), rotationGraceMs, clock);
    this.#proofs = new Proofs(this.#sessions, options.serializer, clock);
  }

  readCookies(header: string, name: string): CookiesRead<PresentedId> {
    const values = cookieValues(header, name);
    if (values.length === 0) return NOTHING;
    const tokens: PresentedId[] = [];
    for (const value of values) {
      const verified = this.codec.decode(value, name);
      if (verified && !tokens.some(({ id }) => id === verified.id)) tokens.push(verified);
    }
    if (tokens.length === 0) warnOfForeignCookie(this.events, name);
    return { tokens, presentNames: [name] };
  }

  open(ids: readonly PresentedId[]): Promise<SessionState> {
    if (ids.length === 0) return Promise.resolve(this.#state('nothing'));
    if (ids.length > MAX_IDS) return Promise.resolve(this.#ambiguous([]));
    if (ids.length > 1) return this.#openSeveral(ids);
    return this.#load(ids[0]).then((identity) => this.#opened(identity ?? deadSession(ids[0])));
  }

  async openOf(userId: string, handle: string): Promise<SessionState | undefined> {
    const find = () => sessionOfUser(this.store, userId, handle);
    const session = await this.#asking.ask('findByUser', find);
    if (!session) return undefined;
    if (session.record.format > RECORD_FORMAT) this.#refuseNewerFormat(session.record);
    return this.#opened({ id: '', ...session });
  }

  async openRenamed({ others: [named] }: SessionState, userId: string): Promise<SessionState | undefined> {
    const found = await this.#sessions.whereabouts.find(named, userId);
    if (found.kind !== 'living') return undefined;
    const { session, hops } = found;
    if (session.record.format > RECORD_FORMAT) this.#refuseNewerFormat(session.record);
    if (!this.#proofs.isOfSameUser(found, userId)) return undefined;
    const isJustRenewed = session.id !== '' && isRenewedFor({ kind: 'login' }, hops);
    return this.#opened(session, { isJustRenewed, browserId: named.id });
  }

  fresh(presence: 'nothing' | 'dead' = 'nothing', others: readonly StoredIdentity[] = []): SessionState {
    return this.#state(presence, undefined, { others });
  }

  async commit(state: SessionState, plan: CommitPlan): Promise<Committed> {
    const { stored } = state;
    if (plan.kind === 'create') return this.#create(state, plan);
    if (!stored) return NOTHING_DONE;
    switch (plan.kind) {
      case 'save': {
        const saved = await this.#sessions.save(stored, plan.change);
        return saved ? settledAs('saved', state, plan, saved) : this.#missed(state, stored, plan);
      }
      case 'rename': {
        const renamed = await this.#sessions.rename(stored, plan.change, plan.proof);
        return renamed ? settledAs('rotated', state, plan, renamed) : this.#missed(state, stored, plan);
      }
      case 'touch': {
        // A session that ended meanwhile is no matter to a request that only read it.
        const touching = () => this.store.touch(stored.key, plan.touch, stored.record);
        if (!(await this.#asking.ask('touch', touching))) return NOTHING_DONE;
        const touched = { ...stored, record: applyTouch(stored.record, plan.touch) };
        return settledAs('touched', state, plan, touched);
      }
      case 'end':
        return { done: 'ended', ended: await this.end([stored]) };
    }
  }

  async end(sessions: readonly StoredIdentity[]): Promise<readonly SessionRecord[]> {
    const chased = await Promise.all(sessions.map((session) => this.#sessions.end(session)));
    if (chased.some(({ kind }) => kind === 'lost')) throw new SessionRotatedException();
    return chased.flatMap((each) => (each.kind === 'ended' ? [each.record] : []));
  }

  endHere({ key }: StoredIdentity): Promise<boolean> {
    return this.#sessions.endHere(key);
  }

  cookiesFor({ id }: StoredIdentity, { name }: CookiePlace): CookieToSet[] {
    return [{ name, value: this.codec.encode(id, name) }];
  }

  async atomic(
    state: SessionState,
    stored: StoredIdentity,
    name: string,
    change: (value: unknown) => unknown,
  ): Promise<void> {
    const { serializer, maxSize } = this.options;
    let mistake: { error: unknown } | undefined;
    const update = (text: string | undefined): string | undefined => {
      try {
        const value = change(text === undefined ? undefined : this.#parse(text, stored.record.handle));
        if (value === undefined) return undefined;
        checkJson(value, name, serializer);
        const next = serializer.stringify(value);
        state.values.checkSize(maxSize, { [name]: next });
        return next;
      } catch (error) {
        mistake = { error };
        throw error;
      }
    };
    const result = await this.#asking.ask('atomic', async () => {
      try {
        return await this.store.atomic(stored.key, name, update);
      } catch (error) {
        if (mistake) return undefined;
        throw error;
      }
    });
    if (mistake) throw mistake.error;
    if (!result) throw await this.#interruption(stored);
    state.values.replace(name, result.text);
  }

  async #openSeveral(ids: readonly PresentedId[]): Promise<SessionState> {
    const found = (await Promise.all(ids.map((id) => this.#load(id)))).filter(
      (identity) => identity !== undefined,
    );
    const living = found.filter(({ record }) => !record.gone);
    if (living.length > 1) return this.#ambiguous(living, found);
    const opened = living[0] ?? found[0] ?? deadSession(ids[0]);
    return this.#opened(opened, { others: found.filter((each) => each !== opened) });
  }

  #ambiguous(living: readonly StoredIdentity[], others: readonly StoredIdentity[] = []): SessionState {
    this.events.emit('ambiguous', { handles: living.map(({ record }) => record.handle) });
    this.events.warnOnce(
      'ambiguous',
      'A request brought cookies of several living sessions: none was believed.',
    );
    return this.#state('ambiguous', undefined, { others });
  }

  #load({ id, isSignedByOldSecret }: PresentedId): Promise<StoredIdentity | undefined> {
    const key = keyOf(id);
    return this.#asking
      .ask('load', () => this.store.load(key))
      .then((record) => {
        if (!record || record.expiresAt <= this.clock.now()) return undefined;
        if (record.format > RECORD_FORMAT) this.#refuseNewerFormat(record);
        return { id, key, record, isSignedByOldSecret };
      });
  }

  #opened(identity: StoredIdentity, { others = [], ...origin }: StateOrigin = {}): SessionState {
    const { gone, corrupt, handle } = identity.record;
    if (gone) {
      const presence = identity.record === DEAD ? 'dead' : gone;
      return this.#state(presence, undefined, { ...origin, others: [identity, ...others] });
    }
    const state = this.#state('living', identity, { ...origin, others });
    if (corrupt) this.#corrupt(handle);
    if (this.events.isHeard('loaded')) this.events.emit('loaded', subjectOf(identity.record));
    return state;
  }

  #state(presence: Presence, identity?: StoredIdentity, origin?: StateOrigin): SessionState {
    const onCorrupt = (handle: string) => this.#corrupt(handle);
    return new SessionState(presence, identity, this.options, this.clock, onCorrupt, origin);
  }

  async #create(state: SessionState, plan: CommitPlan & { kind: 'create' }): Promise<Committed> {
    const { proof, record } = plan;
    if (proof) return settled(state, plan, await this.#proofs.begin(record, proof, state.others));
    await this.#refuseReplacedId(state);
    const session = await this.#sessions.create(record);
    return settled(state, plan, { session, done: 'created', ended: [] });
  }

  /** Who came with an id that was just replaced, or whose session just ended, begins no new session by writing a value. */
  async #refuseReplacedId({ presence, others: [named] }: SessionState): Promise<void> {
    if (presence === 'ended') throw new SessionInterruptedException();
    if (presence === 'renamed') throw await this.#reasonFor(named);
  }

  /** A session that is to be changed is not under its key any more. */
  async #missed(state: SessionState, loaded: StoredIdentity, plan: ChangePlan): Promise<Committed> {
    const { proof, change } = plan;
    if (!proof || proof.kind === 'confirm') throw await this.#interruption(loaded);
    const written = await this.#proofs.bringBack(loaded, change, proof);
    if (!written) throw await this.#interruption(loaded);
    return settled(state, plan, written);
  }

  async #interruption(session: StoredIdentity): Promise<Error> {
    this.events.emit('interrupted', subjectOf(session.record));
    return this.#reasonFor(session);
  }

  /** The session is not under its key any more: does it live under another one, or did it end? */
  async #reasonFor(session: StoredIdentity): Promise<Error> {
    const found = await this.#sessions.whereabouts.follow(session);
    const isLiving = found.kind === 'unknown' || (found.kind === 'living' && !found.isReplaced);
    return isLiving ? new SessionRotatedException() : new SessionInterruptedException();
  }

  #refuseNewerFormat({ handle, format }: SessionRecord): never {
    this.events.emit('newerFormat', { handle, format });
    const message = `Session ${handle} was written by a newer release (format ${format}): it is left as it is.`;
    this.events.warnOnce('newerFormat', message);
    throw new SessionFormatException(handle, format);
  }

  /** A text that nobody can read is no value. */
  #parse(text: string, handle: string): unknown {
    try {
      return this.options.serializer.parse(text);
    } catch {
      this.#corrupt(handle);
      return undefined;
    }
  }

  #corrupt(handle: string): void {
    this.events.emit('corrupt', { handle });
    this.events.warnOnce(
      `corrupt ${handle}`,
      `The stored data of session ${handle} is corrupt: it goes on without.`,
    );
  }
}

/** What stands for the record of a session that is over, where the store has no trace of it. */
const DEAD: SessionRecord = {
  format: RECORD_FORMAT,
  handle: '',
  values: {},
  createdAt: 0,
  lastSeenAt: 0,
  expiresAt: 0,
  absoluteExpiresAt: 0,
  policy: '',
  gone: 'ended',
};

function deadSession({ id }: PresentedId): StoredIdentity {
  return { id, key: keyOf(id), record: DEAD };
}

const NOTHING_DONE: Committed = { done: 'nothing', ended: [] };

function settled(state: SessionState, plan: CommitPlan, { session, done, ended }: Written): Committed {
  state.settle(plan, session);
  return { done, ended };
}

function settledAs(
  done: 'saved' | 'rotated' | 'touched',
  state: SessionState,
  plan: CommitPlan,
  session: StoredIdentity,
): Committed {
  state.settle(plan, session);
  return { done, ended: [] };
}
