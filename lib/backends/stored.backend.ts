import type { EpochMs, SessionClock } from '../core/clock.js';
import { checkJson } from '../core/json-values.js';
import { applyChange, applyTouch, RECORD_FORMAT, type SessionRecord } from '../core/record.js';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import { keyOf, newHandle, newId } from '../core/session-id.js';
import { type CommitPlan, type Presence, SessionState, type StoredIdentity } from '../core/session-state.js';
import {
  SessionFormatException,
  SessionInterruptedException,
  SessionRotatedException,
  type StoreOperation,
} from '../errors.js';
import { type SessionEvents, subjectOf } from '../events/session-events.js';
import type { SessionStore } from '../stores/session-store.js';
import { AskStore } from './ask-store.js';
import { cookieValues } from './cookie-header.js';
import type { CookiePlace, CookiesRead, CookieToSet, SessionBackend } from './session-backend.js';

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

const NOTHING: CookiesRead<PresentedId> = { tokens: [], presentNames: [] };

/** How often a new id is tried: with 256 bits a collision means that the random generator is broken. */
const MAX_ID_TRIES = 5;

/** Sessions in a store, behind an id that the cookie holds. */
export class StoredBackend implements SessionBackend<PresentedId> {
  readonly livesInCookie = false;
  readonly #store: AskStore;

  constructor(
    private readonly store: SessionStore,
    private readonly options: ResolvedSessionOptions,
    private readonly clock: SessionClock,
    private readonly events: SessionEvents,
    private readonly codec: IdCodec,
  ) {
    this.#store = new AskStore(options.storeTimeoutMs, events);
  }

  readCookies(header: string, name: string): CookiesRead<PresentedId> {
    const values = cookieValues(header, name);
    if (values.length === 0) return NOTHING;
    const tokens: PresentedId[] = [];
    for (const value of values) {
      const verified = this.codec.decode(value, name);
      if (verified && !tokens.some(({ id }) => id === verified.id)) tokens.push(verified);
    }
    return { tokens, presentNames: [name] };
  }

  open(ids: readonly PresentedId[]): Promise<SessionState> {
    if (ids.length === 0) return Promise.resolve(this.#state('nothing'));
    if (ids.length > 1) return this.#openSeveral(ids);
    return this.#load(ids[0]).then((identity) => (identity ? this.#opened(identity) : this.#state('dead')));
  }

  async openOf(userId: string, handle: string): Promise<SessionState | undefined> {
    const found = await this.#ask('findByUser', () => this.store.findByUser(userId));
    const session = found.find(({ record }) => record.handle === handle);
    if (!session) return undefined;
    if (session.record.format > RECORD_FORMAT) this.#refuseNewerFormat(session.record);
    return this.#opened({ id: '', ...session });
  }

  fresh(presence: 'nothing' | 'dead' = 'nothing'): SessionState {
    return this.#state(presence);
  }

  async commit(state: SessionState, plan: CommitPlan): Promise<void> {
    const { stored } = state;
    if (plan.kind === 'create') return this.#create(state, plan);
    if (!stored) return;
    switch (plan.kind) {
      case 'save': {
        const saved = await this.#ask('save', () => this.store.save(stored.key, plan.change, stored.record));
        if (!saved) return this.#interrupted(stored);
        return state.settle(plan, { ...stored, record: applyChange(stored.record, plan.change) });
      }
      case 'rename':
        return this.#rename(state, stored, plan);
      case 'touch': {
        // A session that ended meanwhile is no matter to a request that only read it.
        const alive = await this.#ask('touch', () => this.store.touch(stored.key, plan.touch, stored.record));
        if (alive) state.settle(plan, { ...stored, record: applyTouch(stored.record, plan.touch) });
        return;
      }
      case 'end':
        await this.end([stored.key]);
    }
  }

  /** Their keys are known as ended for `rotationGrace`. */
  async end(keys: readonly string[]): Promise<void> {
    const until = this.#graceEnd();
    await Promise.all(keys.map((key) => this.#ask('delete', () => this.store.delete(key, until))));
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
        checkJson(value, name);
        const next = serializer.stringify(value);
        state.values.checkSize(maxSize, { [name]: next });
        return next;
      } catch (error) {
        mistake = { error };
        throw error;
      }
    };
    const result = await this.#ask('atomic', async () => {
      try {
        return await this.store.atomic(stored.key, name, update);
      } catch (error) {
        if (mistake) return undefined;
        throw error;
      }
    });
    if (mistake) throw mistake.error;
    if (!result) return this.#interrupted(stored);
    state.values.replace(name, result.text);
  }

  async #openSeveral(ids: readonly PresentedId[]): Promise<SessionState> {
    const found = (await Promise.all(ids.map((id) => this.#load(id)))).filter(
      (identity) => identity !== undefined,
    );
    const living = found.filter(({ record }) => !record.gone);
    if (living.length === 1) return this.#opened(living[0]);
    if (living.length === 0) return found[0] ? this.#opened(found[0]) : this.#state('dead');
    const handles = living.map(({ record }) => record.handle);
    this.events.emit('ambiguous', { handles });
    this.events.warnOnce(
      'ambiguous',
      'A request brought cookies of several living sessions: none was believed.',
    );
    return this.#state(
      'ambiguous',
      undefined,
      living.map(({ key }) => key),
    );
  }

  #load({ id, isSignedByOldSecret }: PresentedId): Promise<StoredIdentity | undefined> {
    const key = keyOf(id);
    return this.#ask('load', () => this.store.load(key)).then((record) => {
      if (!record || record.expiresAt <= this.clock.now()) return undefined;
      if (record.format > RECORD_FORMAT) this.#refuseNewerFormat(record);
      return { id, key, record, isSignedByOldSecret };
    });
  }

  #opened(identity: StoredIdentity): SessionState {
    const { gone, corrupt, handle } = identity.record;
    if (gone) return Object.assign(this.#state(gone), { goneHandle: handle });
    const state = this.#state('living', identity);
    if (corrupt) this.#corrupt(handle);
    if (this.events.isHeard('loaded')) this.events.emit('loaded', subjectOf(identity.record));
    return state;
  }

  #state(presence: Presence, identity?: StoredIdentity, rivals?: readonly string[]): SessionState {
    return new SessionState(
      presence,
      identity,
      this.options,
      this.clock,
      (handle) => this.#corrupt(handle),
      rivals,
    );
  }

  async #create(state: SessionState, plan: CommitPlan & { kind: 'create' }): Promise<void> {
    if (!plan.login) {
      if (state.presence === 'renamed') throw new SessionRotatedException();
      if (state.presence === 'ended') throw new SessionInterruptedException();
    }
    const { id, key } = await this.#withNewId('create', async (newKey) =>
      this.store.create(newKey, plan.record),
    );
    state.settle(plan, { id, key, record: plan.record });
  }

  async #rename(state: SessionState, stored: StoredIdentity, plan: CommitPlan & { kind: 'save' | 'rename' }) {
    const until = this.#graceEnd();
    let isGone = false;
    const { id, key } = await this.#withNewId('rename', async (newKey) => {
      const outcome = await this.store.rename(stored.key, newKey, plan.change, until, stored.record);
      isGone = outcome === 'gone';
      return outcome !== 'taken';
    });
    if (!isGone) return state.settle(plan, { id, key, record: applyChange(stored.record, plan.change) });
    if (!plan.login) return this.#interrupted(stored);
    await this.#logInAnew(state, stored, plan);
  }

  /**
   * A login whose session is not there any more starts another one: a form that was sent twice logs in twice. What the
   * visitor had goes on where the old session got a new id; where it ended, it stays ended.
   */
  async #logInAnew(
    state: SessionState,
    { key: oldKey, record: old }: StoredIdentity,
    plan: CommitPlan & { kind: 'save' | 'rename' },
  ): Promise<void> {
    const isRenamed = (await this.#ask('load', () => this.store.load(oldKey)))?.gone === 'renamed';
    if (!isRenamed && plan.login === 'again') throw this.#interruption(old, isRenamed);
    const values = isRenamed ? old.values : {};
    const createdAt = this.clock.now();
    const record = {
      ...applyChange({ ...old, values }, plan.change),
      handle: newHandle(createdAt),
      createdAt,
    };
    const { id, key } = await this.#withNewId('create', async (newKey) => this.store.create(newKey, record));
    state.settle(plan, { id, key, record });
  }

  /** Tries new ids until one is free. */
  async #withNewId(
    operation: 'create' | 'rename',
    isFree: (key: string) => Promise<boolean>,
  ): Promise<{ id: string; key: string }> {
    for (let tries = 0; tries < MAX_ID_TRIES; tries++) {
      const id = newId();
      const key = keyOf(id);
      if (await this.#ask(operation, () => isFree(key))) return { id, key };
    }
    throw this.#store.failed(operation, new Error(`${MAX_ID_TRIES} new ids in a row were taken.`));
  }

  /** The session is not under its key any more: was it renamed, or did it end? */
  async #interrupted({ key, record }: StoredIdentity): Promise<never> {
    const now = await this.#ask('load', () => this.store.load(key));
    throw this.#interruption(record, now?.gone === 'renamed');
  }

  #interruption(record: SessionRecord, isRenamed: boolean): Error {
    this.events.emit('interrupted', subjectOf(record));
    return isRenamed ? new SessionRotatedException() : new SessionInterruptedException();
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

  #graceEnd(): EpochMs {
    return this.clock.now() + this.options.rotationGraceMs;
  }

  #ask<T>(operation: StoreOperation, work: () => Promise<T>): Promise<T> {
    return this.#store.ask(operation, work);
  }
}
