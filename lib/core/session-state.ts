import { SessionUsageError } from '../errors.js';
import type { EpochMs, SessionClock } from './clock.js';
import {
  BROWSER_POLICY,
  confirmedPolicy,
  type CookieEnd,
  cookieEndOf,
  type DeadlineOptions,
  deadlineOf,
  type ExpiryPolicy,
  idlePolicy,
  isTouchDue,
  isUnconfirmed,
  KEEP_DEADLINE,
  MODULE_POLICY,
  unconfirmedPolicy,
  untilPolicy,
} from './deadlines.js';
import { type Duration, durationMs } from './duration.js';
import { addFlash, takeFlashes } from './flash.js';
import {
  AUTH,
  type AuthValue,
  authValueOf,
  loginTimeOf,
  PENDING,
  type PendingValue,
  pendingValueOf,
} from './login-values.js';
import {
  type Authentication,
  RECORD_FORMAT,
  type SessionChange,
  type SessionRecord,
  type SessionTouch,
} from './record.js';
import type { SessionSerializer } from './serializer.js';
import { newHandle } from './session-id.js';
import { SessionValues, type ValueChanges } from './session-values.js';

/**
 * What the request's cookies turned out to name: `nothing` of ours · a `living` session · a `dead` one (ours, but no
 * more) · one that was just `renamed` or `ended` (a tombstone) · several living ones at once, which is `ambiguous`.
 */
export type Presence = 'nothing' | 'living' | 'dead' | 'renamed' | 'ended' | 'ambiguous';

/**
 * Who uses a session: an `active` visitor, a page of theirs that asks by itself (`passive`), or `nobody`: a job of the
 * application. Only an active visitor moves the idle deadline.
 */
export type Visit = 'active' | 'passive' | 'nobody';

/** What the state needs to know of the module. */
export interface StateOptions extends DeadlineOptions {
  readonly absoluteTimeoutMs: number;
  readonly maxSize: number;
  readonly serializer: SessionSerializer;
  /** Each request that used its session writes its deadline. */
  readonly saveEveryRequest?: boolean;
}

/** A stored session, and the id that names it. */
export interface StoredIdentity {
  /** '' for a session that was found by its user: only its browser knows the id. */
  readonly id: string;
  readonly key: string;
  /** The browser's cookie is signed with an older secret: it is signed anew at the next save or touch. */
  readonly isSignedByOldSecret?: boolean;
  readonly record: SessionRecord;
}

/**
 * Whose session it is, was shown in this request; each gives it a new id. They differ in what happens where the session that
 * the request began with got a new id meanwhile, or ended:
 *  - `login`, the first of two factors too: must not fail. It goes on in the same user's session, or begins another one.
 *  - `confirm`, by who is logged in: comes too late, as a cycle does.
 *  - `refresh`, by who is logged in, and has just changed the password: goes on in the same session, if that lives.
 */
export interface Proof {
  readonly kind: 'login' | 'confirm' | 'refresh';
  readonly userId: string;
}

/** What a commit has to do; decided by {@link SessionState.plan}, done by a backend. */
export type CommitPlan =
  | {
      readonly kind: 'create';
      readonly record: SessionRecord;
      readonly values: ValueChanges;
      readonly proof: Proof | undefined;
    }
  | {
      readonly kind: 'save' | 'rename';
      readonly change: SessionChange;
      readonly values: ValueChanges;
      readonly proof: Proof | undefined;
    }
  | { readonly kind: 'touch'; readonly touch: SessionTouch }
  | { readonly kind: 'end' };

/** An authentication as the state takes it. */
export interface NewLogin {
  readonly userId: string;
  readonly auth: AuthValue;
  readonly kind: 'login' | 'confirm';
  /** How long the session lives from now on, whatever happens. */
  readonly absoluteTimeoutMs: number;
  /** Another expiry policy; left out: the one that the session has. */
  readonly policy?: ExpiryPolicy;
}

/** What a state may come with beside its session. */
export interface StateOrigin {
  readonly others?: readonly StoredIdentity[];
  readonly isJustRenewed?: boolean;
  readonly browserId?: string;
}

const NO_CHANGES: ValueChanges = { set: {}, removed: [], clears: 0, written: new Map() };

/**
 * One session during one request: what was loaded, what the request did to it, and what a commit would have to write.
 * Knows no store and no request.
 */
export class SessionState {
  /** How often something in the session was asked for: what was done since is seen by that. */
  uses = 0;
  visit: Visit = 'active';
  /** The stored session; undefined while there is none. */
  stored: StoredIdentity | undefined;
  values: SessionValues;
  /** What else the request's cookies name, living or renamed: a logout, a flush and a login that begins anew end it too. */
  others: readonly StoredIdentity[];
  /** The id in the browser's cookie, as far as this request knows; '' where nobody but the browser does. */
  browserId: string | undefined;
  /** The request came with the cookie of this session. */
  readonly isConfirmed: boolean;
  /** The policy that holds for a visitor whose cookie has come back. */
  #policy: ExpiryPolicy;
  #wantsNewId = false;
  /** It is to be stored though nothing is in it. */
  #wantsIdentity = false;
  /** A parallel request of the same user has given the session its id a moment ago: an authentication needs no other. */
  readonly #isJustRenewed: boolean;
  #proof: Proof | undefined;
  /** This request has written the session, or its deadline. */
  #isWritten = false;
  /** The visitor has proved who they are, in this request; not written yet. */
  #authentication: Authentication | undefined;
  /** The login, parsed, and the text that it was parsed from. */
  #auth: AuthValue | undefined;
  #authText: string | undefined;
  #handle: string | undefined;
  #createdAt: EpochMs | undefined;

  constructor(
    readonly presence: Presence,
    stored: StoredIdentity | undefined,
    private readonly options: StateOptions,
    private readonly clock: SessionClock,
    onCorrupt: (handle: string) => void,
    { others = [], isJustRenewed = false, browserId = stored?.id }: StateOrigin = {},
  ) {
    this.stored = stored;
    this.others = others;
    this.browserId = browserId;
    this.#isJustRenewed = isJustRenewed;
    this.isConfirmed = stored !== undefined;
    this.#policy = confirmedPolicy(stored?.record.policy ?? MODULE_POLICY);
    this.values = new SessionValues(stored?.record.values ?? {}, options.serializer, () =>
      onCorrupt(this.handle),
    );
  }

  get isNew(): boolean {
    return this.stored === undefined;
  }

  get handle(): string {
    return this.stored?.record.handle ?? (this.#handle ??= newHandle(this.createdAt));
  }

  get createdAt(): EpochMs {
    return this.stored?.record.createdAt ?? (this.#createdAt ??= this.clock.now());
  }

  /** What a token against cross-site requests is good for: this session, from one authentication to the next. */
  get csrfBinding(): string {
    const since = this.auth ? `login ${loginTimeOf(this.auth)}` : `start ${this.createdAt}`;
    return `${this.handle}.${since}`;
  }

  get lastSeenAt(): EpochMs {
    return this.stored?.record.lastSeenAt ?? this.createdAt;
  }

  get isModified(): boolean {
    return (
      this.values.isModified || this.#hasNewPolicy || this.#wantsNewId || (this.isNew && this.#wantsIdentity)
    );
  }

  get expiresAt(): EpochMs {
    if (this.stored && !this.#hasNewPolicy && !this.#isToBeConfirmed) return this.stored.record.expiresAt;
    return this.#deadlineAt(this.clock.now());
  }

  get absoluteExpiresAt(): EpochMs {
    if (this.#authentication) return this.#authentication.absoluteExpiresAt;
    return this.stored?.record.absoluteExpiresAt ?? this.createdAt + this.options.absoluteTimeoutMs;
  }

  get expiryAge(): number {
    return Math.round((this.expiresAt - this.clock.now()) / 1000);
  }

  get expiresAtBrowserClose(): boolean {
    return this.cookieEnd === 'browser';
  }

  /** When the cookie of this session ends. */
  get cookieEnd(): CookieEnd {
    return cookieEndOf(this.#policy, this.absoluteExpiresAt, this.options);
  }

  /** When the cookie that the browser holds ends, as far as the record tells. */
  get storedCookieEnd(): CookieEnd | undefined {
    const record = this.stored?.record;
    return record && cookieEndOf(confirmedPolicy(record.policy), record.absoluteExpiresAt, this.options);
  }

  /** Whether what is to be written needs a Set-Cookie: a new id, or another end of the cookie. */
  get needsCookie(): boolean {
    if (!this.stored) return this.#isToBeCreated;
    return this.#wantsNewId || this.stored.id !== this.browserId || this.cookieEnd !== this.storedCookieEnd;
  }

  /** Whose session it is, logged in or not any more (`clear()`); undefined for an anonymous one. */
  get ownerId(): string | undefined {
    return this.#authentication?.userId ?? this.stored?.record.userId;
  }

  /**
   * The login of this session. It takes both, the owner in the record and the time of the login among the values: so a
   * `clear()` logs out, and nothing that lacks one of them counts as authenticated.
   */
  get auth(): AuthValue | undefined {
    if (this.ownerId === undefined) return undefined;
    const text = this.values.text(AUTH);
    if (text !== this.#authText) {
      this.#authText = text;
      this.#auth = authValueOf(this.values.peek(AUTH));
    }
    return this.#auth;
  }

  /** The user who is logged in here, as far as the session knows: nobody asked whether they still exist. */
  get userId(): string | undefined {
    return this.auth && this.ownerId;
  }

  /** A login that waits for its second factor, however long. */
  get pending(): PendingValue | undefined {
    return pendingValueOf(this.values.peek(PENDING));
  }

  /** All sessions that the request is about: what a flush ends. */
  get named(): readonly StoredIdentity[] {
    return this.stored ? [this.stored, ...this.others] : this.others;
  }

  /** What a login begins with: the same for a form that is sent twice with one cookie. */
  get origin(): string {
    const [named] = this.named;
    return named ? named.record.handle || named.key : this.handle;
  }

  flash(key: string, value: unknown): void {
    addFlash(this.values, key, value, this.clock.now());
  }

  takeFlash(key: string): unknown[] {
    return takeFlashes(this.values, key);
  }

  /** The visitor gets a session, also where there is no value yet: who saves has asked for one. */
  wantIdentity(): void {
    this.#wantsIdentity = true;
  }

  cycleId(): void {
    this.#wantsNewId = true;
  }

  /** The visitor has proved who they are: a new id, a new absolute deadline, and the owner, at the commit (law 8). */
  authenticate({ userId, auth, kind, absoluteTimeoutMs, policy }: NewLogin): void {
    this.#authentication = { userId, absoluteExpiresAt: this.clock.now() + absoluteTimeoutMs };
    this.#prove({ kind, userId });
    if (policy !== undefined) this.#policy = policy;
    this.values.delete(PENDING);
    this.values.set(AUTH, auth);
  }

  /** The first of two factors was right: a new id, for the session is worth more now, and nobody logged in. */
  awaitSecondFactor(pending: PendingValue): void {
    this.#prove({ kind: 'login', userId: pending.userId });
    this.#authentication = undefined;
    this.values.delete(AUTH);
    this.values.set(PENDING, pending);
  }

  /** Who is logged in goes on with another auth hash: a new id. */
  refresh(userId: string, auth: AuthValue): void {
    this.#prove({ kind: 'refresh', userId });
    this.values.set(AUTH, auth);
  }

  /** @returns whether what was asked for lies beyond the absolute deadline, which holds in any case */
  setExpiry(expiry: Duration | Date | 'browser' | undefined): { isBeyondAbsolute: boolean } {
    this.#policy = policyOf(expiry);
    const unbounded = deadlineOf(this.#policy, this.clock.now(), Infinity, this.options);
    const isOwn = this.#policy.startsWith('idle:') || this.#policy.startsWith('until:');
    return { isBeyondAbsolute: isOwn && unbounded > this.absoluteExpiresAt };
  }

  /**
   * What has to be written now; undefined when nothing has.
   *
   * @throws SessionValueError, SessionTooLargeError
   */
  plan(): CommitPlan | undefined {
    const now = this.clock.now();
    if (!this.stored) return this.#planCreate(now);
    if (this.#hasNewPolicy && this.#deadlineAt(now) <= now) return { kind: 'end' };
    const values = this.values.changes();
    if (values) this.values.checkSize(this.options.maxSize, values.set);
    if (!values && !this.#hasNewPolicy && !this.#wantsNewId) return this.#planTouch(this.stored.record, now);
    const change = this.#change(this.stored.record, values ?? NO_CHANGES, now);
    const kind = this.#wantsNewId ? 'rename' : 'save';
    return { kind, change, values: values ?? NO_CHANGES, proof: this.#proof };
  }

  /** Takes an acknowledged plan as the new base. */
  settle(plan: CommitPlan, identity: StoredIdentity): void {
    this.stored = identity;
    this.#isWritten = true;
    if (plan.kind === 'create') this.others = [];
    // A login that came while the plan was carried out is still to be written.
    if ('proof' in plan && plan.proof === this.#proof) {
      this.#proof = undefined;
      this.#authentication = undefined;
      if (plan.kind !== 'save') this.#wantsNewId = false;
    }
    if ('values' in plan) this.values.settle(plan.values);
  }

  #prove(proof: Proof): void {
    this.#proof = proof;
    this.#wantsNewId ||= !this.#isJustRenewed;
  }

  #planCreate(now: EpochMs): CommitPlan | undefined {
    if (!this.#isToBeCreated || this.#deadlineAt(now) <= now) return undefined;
    const values = this.values.changes() ?? NO_CHANGES;
    this.values.checkSize(this.options.maxSize, values.set);
    const record: SessionRecord = {
      format: RECORD_FORMAT,
      handle: this.handle,
      values: values.set,
      createdAt: this.createdAt,
      lastSeenAt: now,
      expiresAt: this.#deadlineAt(now),
      absoluteExpiresAt: this.absoluteExpiresAt,
      policy: this.#policyText,
      ...(this.#authentication && { userId: this.#authentication.userId }),
    };
    return { kind: 'create', record, values, proof: this.#proof };
  }

  #planTouch(record: SessionRecord, now: EpochMs): CommitPlan | undefined {
    if (!this.#isToBeConfirmed && !this.#isTouchDue(record, now)) return undefined;
    return { kind: 'touch', touch: this.#touch(record, now) };
  }

  #isTouchDue({ lastSeenAt }: SessionRecord, now: EpochMs): boolean {
    if (!this.#movesDeadline) return false;
    if (this.options.saveEveryRequest) return this.uses > 0 && !this.#isWritten;
    return isTouchDue(this.#policy, lastSeenAt, now, this.options);
  }

  #touch({ lastSeenAt, expiresAt, policy: basedOn }: SessionRecord, now: EpochMs): SessionTouch {
    const seenAt = this.visit === 'active' || this.#authentication ? now : lastSeenAt;
    if (this.#movesDeadline) return { lastSeenAt: seenAt, expiresAt: this.#deadlineAt(now), basedOn };
    // As if the cookie had come back at once: what asks by itself proves a browser, and no visitor.
    if (this.#isToBeConfirmed) return { lastSeenAt, expiresAt: this.#deadlineAt(lastSeenAt), basedOn };
    return { lastSeenAt: seenAt, expiresAt, basedOn: KEEP_DEADLINE };
  }

  #change(record: SessionRecord, { set, removed, clears }: ValueChanges, now: EpochMs): SessionChange {
    // Property by property: V8 takes some µs to add one to what a spread has made.
    const { lastSeenAt, expiresAt, basedOn } = this.#touch(record, now);
    return {
      lastSeenAt,
      expiresAt,
      basedOn,
      set,
      removed,
      cleared: clears > 0 || undefined,
      policy: this.#hasNewPolicy ? this.#policyText : undefined,
      authentication: this.#authentication,
      maxSize: this.options.maxSize,
    };
  }

  get #isToBeCreated(): boolean {
    return this.#wantsIdentity || !this.values.isEmpty;
  }

  get #hasNewPolicy(): boolean {
    if (!this.stored) return false;
    const { policy } = this.stored.record;
    // Who logs in is no bot, though the cookie is as new as the session.
    const dropsMark = this.#proof !== undefined && !this.isConfirmed && isUnconfirmed(policy);
    return dropsMark || this.#policy !== confirmedPolicy(policy);
  }

  /** What a record keeps of the policy. */
  get #policyText(): ExpiryPolicy {
    return this.#isUnconfirmed ? unconfirmedPolicy(this.#policy) : this.#policy;
  }

  /** Nobody knows yet whether the visitor keeps cookies: the session began in this request, without a login. */
  get #isUnconfirmed(): boolean {
    if (this.isConfirmed || this.#proof !== undefined) return false;
    if (this.stored) return isUnconfirmed(this.stored.record.policy);
    return this.options.unconfirmedTimeoutMs !== undefined && this.visit !== 'nobody';
  }

  /** The cookie of an unconfirmed session has come back, and its deadline does not say so yet. */
  get #isToBeConfirmed(): boolean {
    if (!this.stored || !this.isConfirmed || this.visit === 'nobody') return false;
    const { policy, lastSeenAt, expiresAt } = this.stored.record;
    return isUnconfirmed(policy) && expiresAt < this.#deadlineAt(lastSeenAt);
  }

  /** Whether what is written computes the deadline anew; otherwise it stays as it is stored at that moment. */
  get #movesDeadline(): boolean {
    if (this.#hasNewPolicy || this.#authentication) return true;
    return this.visit === 'active' && !this.#isUnconfirmed;
  }

  #deadlineAt(now: EpochMs): EpochMs {
    const deadline = deadlineOf(this.#policy, now, this.absoluteExpiresAt, this.options);
    const { unconfirmedTimeoutMs = Infinity } = this.options;
    return this.#isUnconfirmed ? Math.min(deadline, this.createdAt + unconfirmedTimeoutMs) : deadline;
  }
}

function policyOf(expiry: Duration | Date | 'browser' | undefined): ExpiryPolicy {
  if (expiry === undefined) return MODULE_POLICY;
  if (expiry === 'browser' || expiry === 0) return BROWSER_POLICY;
  if (expiry instanceof Date && !Number.isNaN(expiry.getTime())) return untilPolicy(expiry.getTime());
  if (typeof expiry === 'number' && expiry < 0) return untilPolicy(0); // over since long, as in Django
  const idleMs = expiry instanceof Date ? undefined : durationMs(expiry);
  if (idleMs) return idlePolicy(idleMs);
  throw new SessionUsageError(
    "setExpiry takes seconds, a duration such as '30m', a Date, 'browser' or undefined.",
  );
}
