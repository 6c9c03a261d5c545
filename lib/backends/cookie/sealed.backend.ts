import { maxHeaderSize } from 'node:http';
import { applyChange, applyTouch, type SessionRecord } from '../../core/record.js';
import { keyOf, newId } from '../../core/session-id.js';
import {
  type CommitPlan,
  type Presence,
  SessionState,
  type StoredIdentity,
} from '../../core/session-state.js';
import { largestValues } from '../../core/value-sizes.js';
import { SessionFormatException, SessionTooLargeError } from '../../errors.js';
import { warnOfForeignCookie } from '../../events/foreign-cookie.js';
import { subjectOf } from '../../events/session-events.js';
import type {
  BackendServices,
  Committed,
  CookiePlace,
  CookiesRead,
  CookieToSet,
  SessionBackend,
} from '../session-backend.js';
import { capacityOf, isChunkOf, joinCookies, presentNames, splitIntoCookies } from './chunks.js';
import { CookieSeal } from './cookie-seal.js';
import { type NewerRecord, packRecord, type SealedRecord, unpackRecord } from './sealed-record.js';

/** A cookie of ours, opened. */
export type OpenedCookie = SealedRecord | NewerRecord;

/** A session, and the cookies that hold it. */
interface SealedIdentity extends StoredIdentity {
  /** What they are sealed for: under another name they are not opened. */
  readonly sealedFor: string;
  readonly cookies: readonly CookieToSet[];
}

export interface SealedBackendOptions {
  readonly chunks: number;
  readonly compress: boolean;
}

/** Node answers 431 to a request with more bytes of headers, and so for ever to this browser; others need room too. */
const MAX_ALL_COOKIES_BYTES = maxHeaderSize - 2048;

const NONE: CookiesRead<never> = { tokens: [], presentNames: [] };

/** Sessions that live in their cookies, sealed; nothing is kept here. */
export class SealedBackend implements SessionBackend<OpenedCookie> {
  readonly livesInCookie = true;
  readonly #seal: CookieSeal;

  constructor(
    private readonly options: SealedBackendOptions,
    private readonly services: BackendServices,
  ) {
    this.#seal = new CookieSeal(services.options.secrets);
  }

  readCookies(header: string, name: string): CookiesRead<OpenedCookie> {
    if (!header.includes(name)) return NONE;
    const tokens: OpenedCookie[] = [];
    for (const { text, count } of joinCookies(header, name, () => this.#warnIncomplete())) {
      const packed = this.#seal.open(text, contextOf(name, count));
      const opened = packed && unpackRecord(packed);
      if (opened) tokens.push(opened);
      else warnOfForeignCookie(this.services.events, name);
    }
    return { tokens: newestOfEach(tokens), presentNames: presentNames(header, name) };
  }

  async open(tokens: readonly OpenedCookie[]): Promise<SessionState> {
    const now = this.services.clock.now();
    const living: SealedRecord[] = [];
    for (const token of tokens) {
      if ('format' in token) this.#refuseNewerFormat(token);
      // The deadlines that were sealed in hold, whatever the cookie's own age says (CVE-2024-31999, CVE-2025-46344).
      else if (Math.min(token.record.expiresAt, token.record.absoluteExpiresAt) > now) living.push(token);
    }
    if (living.length > 1) return this.#ambiguous(living);
    if (living.length === 0) return this.#state(tokens.length > 0 ? 'dead' : 'nothing');
    const [{ id, record }] = living;
    const { events } = this.services;
    if (events.isHeard('loaded')) events.emit('loaded', subjectOf(record));
    return this.#state('living', { id, key: keyOf(id), record });
  }

  fresh(presence: 'nothing' | 'dead' = 'nothing', others: readonly StoredIdentity[] = []): SessionState {
    return this.#state(presence, undefined, others);
  }

  async commit(state: SessionState, plan: CommitPlan, place: CookiePlace): Promise<Committed> {
    const { stored } = state;
    switch (plan.kind) {
      case 'create': {
        const ended = plan.proof ? await this.end(state.others) : [];
        state.settle(plan, this.#sealed(newId(), plan.record, place));
        return { done: 'created', ended };
      }
      case 'end': // the request takes the cookie away
        return { done: 'ended', ended: stored ? [stored.record] : [] };
      case 'touch':
        return { done: stored && this.#touch(state, stored, plan, place) ? 'touched' : 'nothing', ended: [] };
      case 'save':
      case 'rename': {
        if (!stored) return { done: 'nothing', ended: [] };
        const id = plan.kind === 'rename' ? newId() : stored.id;
        state.settle(plan, this.#sealed(id, applyChange(stored.record, plan.change), place));
        return { done: plan.kind === 'rename' ? 'rotated' : 'saved', ended: [] };
      }
    }
  }

  /** There is nothing to delete: they end with their cookies. */
  async end(sessions: readonly StoredIdentity[]): Promise<readonly SessionRecord[]> {
    return sessions.map(({ record }) => record);
  }

  async endHere(): Promise<boolean> {
    return true;
  }

  cookiesFor(session: StoredIdentity, place: CookiePlace, present: readonly string[]): CookieToSet[] {
    const { name } = place;
    const { cookies } = this.#sealedFor(session as SealedIdentity, place);
    const isLeftOver = (other: string) =>
      isChunkOf(name, other) && !cookies.some((each) => each.name === other);
    const leftOver = present.filter(isLeftOver).map((each) => ({ name: each, value: undefined }));
    return [...cookies, ...leftOver];
  }

  /** A request that only read does not fail because its session does not fit any more, into fewer chunks for example. */
  #touch(
    state: SessionState,
    stored: StoredIdentity,
    plan: CommitPlan & { kind: 'touch' },
    place: CookiePlace,
  ): boolean {
    try {
      state.settle(plan, this.#sealed(stored.id, applyTouch(stored.record, plan.touch), place));
      return true;
    } catch (error) {
      if (!(error instanceof SessionTooLargeError)) throw error;
      this.services.events.warnOnce('touch too large', `A deadline was not moved. ${error.message}`);
      return false;
    }
  }

  /** A session outside of requests is written before anybody says whether it leaves for HTTPS or for plain HTTP. */
  #sealedFor(session: SealedIdentity, place: CookiePlace): SealedIdentity {
    return session.sealedFor === place.name ? session : this.#sealed(session.id, session.record, place);
  }

  #sealed(id: string, record: SessionRecord, place: CookiePlace): SealedIdentity {
    const packed = packRecord({ id, record }, this.options.compress);
    const length = CookieSeal.textLength(packed.length);
    const capacity = capacityOf(place);
    const count = Math.ceil(length / capacity);
    const limit = Math.min(this.options.chunks * capacity, MAX_ALL_COOKIES_BYTES);
    if (length > limit) throw tooLarge(record, length, limit, this.options.chunks);
    const text = this.#seal.seal(packed, contextOf(place.name, count));
    const cookies = splitIntoCookies({ text, count }, place);
    return { id, key: keyOf(id), record, sealedFor: place.name, cookies };
  }

  #ambiguous(living: readonly SealedRecord[]): SessionState {
    const { events } = this.services;
    events.emit('ambiguous', { handles: living.map(({ record }) => record.handle) });
    events.warnOnce('ambiguous', 'A request brought cookies of several living sessions: none was believed.');
    const others = living.map(({ id, record }) => ({ id, key: keyOf(id), record }));
    return this.#state('ambiguous', undefined, others);
  }

  #state(
    presence: Presence,
    identity?: StoredIdentity,
    others: readonly StoredIdentity[] = [],
  ): SessionState {
    const { options, clock } = this.services;
    const onCorrupt = (handle: string) => this.#corrupt(handle);
    return new SessionState(presence, identity, options, clock, onCorrupt, { others });
  }

  #refuseNewerFormat({ handle, format }: NewerRecord): never {
    const { events } = this.services;
    events.emit('newerFormat', { handle, format });
    const message = `Session ${handle} was written by a newer release (format ${format}): it is left as it is.`;
    events.warnOnce('newerFormat', message);
    throw new SessionFormatException(handle, format);
  }

  #corrupt(handle: string): void {
    const { events } = this.services;
    events.emit('corrupt', { handle });
    const message = `The stored data of session ${handle} is corrupt: it goes on without.`;
    events.warnOnce(`corrupt ${handle}`, message);
  }

  #warnIncomplete(): void {
    const message =
      'A session came in several cookies, and one of them is missing or is of another answer: it counts as none. ' +
      'Does a proxy or the browser drop cookies? Keep less in the session, or use a store.';
    this.services.events.warnOnce('incomplete cookie', message);
  }
}

/** What the text is bound to: the purpose, the version of the form, the number of cookies and their name. */
function contextOf(name: string, count: number): string {
  return `nest-session encrypted cookie 1.${count}.${name}`;
}

/** One session under two paths or domains, sealed at different times: the later one counts. */
function newestOfEach(tokens: readonly OpenedCookie[]): OpenedCookie[] {
  const newest = new Map<string, OpenedCookie>();
  for (const token of tokens) {
    const name = 'format' in token ? token.handle : token.id;
    const other = newest.get(name);
    if (!other || lastSeenAt(token) > lastSeenAt(other)) newest.set(name, token);
  }
  return [...newest.values()];
}

function lastSeenAt(token: OpenedCookie): number {
  return 'format' in token ? 0 : token.record.lastSeenAt;
}

function tooLarge({ values }: SessionRecord, length: number, limit: number, chunks: number) {
  const why = limit < MAX_ALL_COOKIES_BYTES ? `chunks: ${chunks}` : "Node's limit for a request's headers";
  const summary =
    `The session needs ${length} bytes of cookies, there is room for ${limit} (${why}). ` +
    'Keep large things elsewhere, or use a store.';
  return new SessionTooLargeError(length, limit, largestValues(values), summary);
}
