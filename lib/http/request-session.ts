import type { IncomingMessage, ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import type { Committed, CookiesRead, SessionBackend } from '../backends/session-backend.js';
import type { CsrfTokens } from '../crypto/csrf-tokens.js';
import type { SessionClock } from '../core/clock.js';
import type { CookieEnd } from '../core/deadlines.js';
import { SessionView, type SessionLifecycle } from '../core/session.js';
import type { SessionRecord } from '../core/record.js';
import type { CommitPlan, NewLogin, Proof, SessionState, StoredIdentity } from '../core/session-state.js';
import { hasCode, SessionHeadersSentError, SessionRotatedException, SessionUsageError } from '../errors.js';
import { warnBeyondAbsolute } from '../events/beyond-absolute.js';
import {
  type EndReason,
  type SessionEventMap,
  type SessionEventName,
  type SessionEvents,
  subjectOf,
} from '../events/session-events.js';
import { keepOutOfCaches } from './cache-headers.js';
import type { HeadWriter } from './head-writer.js';
import { repeatCookie, repeatLocation } from './repeat-once.js';
import { ResponseBarrier, type ResponseGate } from './response-barrier.js';
import type { SessionCookie } from './session-cookie.js';

/** The request and response of Node that a session belongs to, and what only the platform knows of them. */
export interface Exchange {
  readonly request: IncomingMessage & { readonly originalUrl?: string };
  readonly response: ServerResponse;
  /** Whether the browser spoke HTTPS, as far as the platform trusts its proxies. */
  isSecure(): boolean;
  /** The client's address, as far as the platform trusts its proxies. */
  ip(): string | undefined;
}

/** Where the user behind a session comes from; there where logins are configured. */
export interface UserSource {
  /** The user who is logged in; the session is loaded. */
  userOf(request: RequestSession): unknown;
  /** The same, if loaded before. */
  knownUserOf(request: RequestSession): unknown;
  /**
   * A login of a user whom nobody asked for a proof: a script, or a test.
   *
   * @throws SessionUsageError when there is no such user, or they are not active
   */
  newLogin(userId: string): Promise<NewLogin>;
}

/** What a login does beyond the session itself. */
export interface LoginFollower {
  /** The login is stored; its cookie leaves after this, and not if this fails. */
  committed(session: StoredIdentity): Promise<void>;
  /** A server error undid it; the error's answer leaves after this. */
  undone(): Promise<void>;
}

/** What the module shares among its requests. */
export interface RequestSessionServices {
  readonly backend: SessionBackend;
  readonly cookie: SessionCookie;
  readonly clock: SessionClock;
  readonly events: SessionEvents;
  readonly csrfTokens: CsrfTokens;
  readonly rotationGraceMs: number;
  /** A session that is written gives the browser its cookie anew. */
  readonly saveEveryRequest: boolean;
  readonly alwaysHttps: boolean;
  readonly users?: UserSource;
}

/** What the response has to do to the browser's cookie. */
type CookieCommand = { readonly session: StoredIdentity; readonly end: CookieEnd } | 'clear';

/**
 * The session of one request: loads it on first use, commits it once the handler has succeeded or before the first
 * byte leaves, whichever comes first, and tells the response what to say about it.
 */
export class RequestSession implements SessionLifecycle, ResponseGate {
  readonly session = new SessionView(this);
  state: SessionState | undefined;
  /** Set by a login, until it is committed or undone. */
  follower: LoginFollower | undefined;
  /** Nobody is there: the page asks by itself, and moves no idle deadline. */
  isPassive = false;
  #isAsked = false;
  #loading: Promise<void> | undefined;
  #barrier: ResponseBarrier | undefined;
  #cookies: CookiesRead | undefined;
  #cookieCommand: CookieCommand | undefined;
  #committing: Promise<void> | undefined;
  /** A failed commit was told to the exception filters, or an error answer left: what is not saved stays unsaved. */
  #isOver = false;
  /** The last commit failed, or did not answer yet: the answer has no cookie of ours. */
  #isUnacknowledged = false;
  /** What the exception filters were told. */
  #failure: { readonly error: unknown } | undefined;
  #isRotated = false;
  /** `uses` of the session when its handler had succeeded and all was committed. */
  #usesCommitted = -1;
  #repeatCookie: string | undefined;

  constructor(
    private readonly exchange: Exchange,
    readonly services: RequestSessionServices,
  ) {}

  load(): Promise<void> | undefined {
    this.#isAsked = true;
    if (!this.state) return (this.#loading ??= this.#load());
    this.state.uses++;
    return undefined;
  }

  /** Loads for a view, which may not look at the session: it counts as asked for when it is touched. */
  loadForView(): Promise<void> | undefined {
    return this.state ? undefined : (this.#loading ??= this.#load());
  }

  /** Whether the request brought a cookie that this application signed; asks no store. */
  get hasValidCookie(): boolean {
    return this.#readCookies().tokens.length > 0;
  }

  get hasNothingToLoad(): boolean {
    return !this.hasValidCookie;
  }

  /** Whether the first byte is on its way. */
  get hasBegun(): boolean {
    return this.#barrier?.hasBegun ?? this.exchange.response.headersSent;
  }

  /**
   * Writes what is to be written, if anything is.
   *
   * @returns undefined when nothing has to be waited for
   */
  commit(): Promise<void> | undefined {
    if (!this.state || this.#isOver) return undefined;
    if (this.#committing) return this.#committing.then(() => this.commit());
    if (this.isPassive) this.state.visit = 'passive';
    const plan = this.state.plan();
    return plan && this.#run(this.state, plan);
  }

  /** As {@link commit}, and final when it fails: the exception filters answer now, and what they answer leaves. */
  commitForHandler(): Promise<void> | undefined {
    const { response } = this.exchange;
    if (this.hasBegun) return response.writableEnded ? this.closed() : undefined;
    if (response.statusCode >= 500) return undefined; // nothing will be kept, says the handler
    try {
      const committing = this.commit();
      if (committing) return committing.then(this.#settled, (error: unknown) => this.#giveUp(error));
      return this.#settled();
    } catch (error) {
      return this.#giveUp(error);
    }
  }

  readonly #settled = (): undefined => {
    this.#usesCommitted = this.state?.uses ?? -1;
    return undefined;
  };

  async save(): Promise<void> {
    if (this.hasBegun && this.#needsCookie()) throw new SessionHeadersSentError();
    await this.commit();
    if (this.#isOver && this.state?.isModified) this.#refuseToSave();
  }

  /** Who awaits a save relies on it: where nothing is written any more, it must not look as if it were. */
  #refuseToSave(): never {
    if (this.#failure) throw asError(this.#failure.error);
    throw new SessionUsageError(
      'The request was answered with a server error, which undoes what was not saved before: nothing is saved any more. ' +
        '`await session.save()` before the answer, or write it by Sessions.open() outside of the request.',
    );
  }

  async flush(reason: EndReason = 'flushed'): Promise<readonly SessionRecord[]> {
    await this.#committing?.catch(() => undefined);
    const { backend } = this.services;
    const { stored, named = [] } = this.state ?? {};
    if (backend.livesInCookie && stored && this.hasBegun) throw new SessionHeadersSentError();
    const ended = await backend.end(named).catch((error: unknown) => {
      throw hasCode(error, 'SESSION_ROTATED') ? this.rotated() : error;
    });
    this.#startAnew();
    this.#tellOfEnded(ended, reason);
    return ended;
  }

  /**
   * Goes on as a new anonymous session, in which somebody else logs in. What the request's cookies name ends when that
   * login is stored, and not if a server error undoes it (law 3).
   */
  async replace(): Promise<void> {
    await this.#committing?.catch(() => undefined);
    const { state } = this;
    if (!state) return;
    this.state = this.services.backend.fresh('nothing', state.named);
    this.state.uses = state.uses;
  }

  /** For a login that came with an id which was just replaced: goes on in the session that has its place, if it is the user's. */
  async openRenamed(userId: string): Promise<void> {
    const { state } = this;
    if (!state?.isNew || (state.presence !== 'renamed' && state.presence !== 'ended')) return;
    const renamed = await this.services.backend.openRenamed?.(state, userId);
    if (!renamed) return;
    renamed.uses = state.uses;
    this.state = renamed;
  }

  /** Ends a session that may not go on (its user is gone, for example); the cookie is left to lapse, as any dead one. */
  async endDead(): Promise<void> {
    await this.#committing?.catch(() => undefined);
    const { backend } = this.services;
    const { stored } = this.state ?? {};
    // One that has a newer id by now may be another matter: the password's change may be what gave it.
    const hasEnded = stored && (await backend.endHere(stored));
    this.state = backend.fresh('dead');
    this.state.uses = 1;
    if (hasEnded) this.#tellOfEnded([stored.record], 'revoked');
  }

  /** The user who is logged in, once the session is loaded; undefined for nobody, and where there are no logins. */
  get user(): unknown {
    return this.services.users?.userOf(this);
  }

  get knownUser(): unknown {
    return this.services.users?.knownUserOf(this);
  }

  get hasUsers(): boolean {
    return this.services.users !== undefined;
  }

  /** The request came with an id that was just replaced: a page is sent back to its own URL, once. */
  rotated(): SessionRotatedException {
    this.#isRotated = true;
    return new SessionRotatedException();
  }

  /** Writes one value anew, for a new secret: opportune, and so no matter where the session has ended meanwhile. */
  async restamp(name: string, value: object): Promise<void> {
    const { state } = this;
    const { backend } = this.services;
    if (!state?.stored) return;
    if (!backend.atomic) return this.#isOver ? undefined : void state.values.set(name, value);
    const changing = backend.atomic(state, state.stored, name, (stored) => stored && value);
    await this.#inTurn(
      changing.catch((error: unknown) => {
        if (!hasCode(error, 'SESSION_INTERRUPTED', 'SESSION_ROTATED')) throw error;
      }),
    );
  }

  get ip(): string | undefined {
    return this.exchange.ip();
  }

  get request(): Exchange['request'] {
    return this.exchange.request;
  }

  setHeader(name: string, value: string): void {
    if (!this.hasBegun) this.exchange.response.setHeader(name, value);
  }

  async atomic(name: string, change: (value: unknown) => unknown): Promise<unknown> {
    const { state } = this;
    const { backend } = this.services;
    if (!state) return undefined;
    if (!state.stored || !backend.atomic) {
      // Nobody else can change this session: there is nothing to come in between.
      state.values.set(name, change(state.values.get(name)));
      await this.save();
    } else {
      if (state.values.isPending(name)) await this.save();
      while (this.#committing) await this.#committing.catch(() => undefined);
      const changing = backend.atomic(state, state.stored, name, change);
      // Its failure is the handler's matter, and none of the commit that waits for it.
      await this.#inTurn(changing.catch(() => undefined));
      await changing;
    }
    return state.values.get(name);
  }

  csrfToken(binding: string): string {
    return this.services.csrfTokens.issue(binding);
  }

  beyondAbsolute(): void {
    warnBeyondAbsolute(this.services.events);
  }

  settle(status: number): Promise<void> | undefined {
    // A server error undoes what was not saved yet (law 3).
    if (status >= 500) return this.#undo();
    // A failed save never leaves as a success, whoever answers.
    if (this.#failure && status < 300) return Promise.reject(asError(this.#failure.error));
    if (!this.state && this.#loading) return this.#settleAfter(this.#loading);
    // The usual end of a request: the handler has succeeded, and nobody came to the session since.
    if (this.state?.uses === this.#usesCommitted && !this.#committing) return undefined;
    try {
      return this.commit()?.catch((error: unknown) => this.#giveUp(error));
    } catch (error) {
      return Promise.resolve().then(() => this.#giveUp(error));
    }
  }

  #undo(): Promise<void> | undefined {
    this.#isOver = true;
    if (this.state) this.#warnOfLateChanges(this.state);
    const { follower } = this;
    this.follower = undefined;
    return follower?.undone();
  }

  /**
   * What comes after a server error has left is lost, and nobody may ever look: the handler that a timeout has answered
   * for goes on, and nobody waits for its end.
   */
  #warnOfLateChanges(state: SessionState): void {
    state.values.onLateChange = () => {
      state.values.onLateChange = undefined;
      this.services.events.emit('unsaved', { handle: state.handle });
      const message =
        'A session was changed after its request had been answered with a server error, by a timeout for example: such ' +
        'changes are lost. `await session.save()` before the answer, or write by Sessions.open() outside of the request.';
      this.services.events.warnOnce('unsaved after an error', message);
    };
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Nest sends the head of server-sent events on a timer, while the handler still waits for its session. */
  async #settleAfter(loading: Promise<void>): Promise<void> {
    await loading;
    await new Promise(setImmediate); // the handler comes first, as far as it waits for nothing else
    await this.commit();
  }

  writeHead(head: HeadWriter): void {
    const setCookies = this.#setCookies();
    if (setCookies.length > 0) {
      const isOurs = (line: string) =>
        this.services.cookie.isOurs(line) || setCookies.some((ours) => nameOf(ours) === nameOf(line));
      const others = head.values('Set-Cookie').filter((line) => !isOurs(line));
      head.set('Set-Cookie', [...others, ...setCookies]);
    }
    if (this.state?.uses || setCookies.length > 0) keepOutOfCaches(head, setCookies.length > 0);
  }

  redirectInstead(status: number): string | undefined {
    if (status !== 409 || !this.#isRotated) return undefined;
    const location = repeatLocation(this.exchange.request);
    if (location !== undefined) this.#repeatCookie = repeatCookie(this.services.rotationGraceMs);
    return location;
  }

  closed(): undefined {
    if (this.#barrier && !this.#barrier.hasBegun) return undefined; // the client left early: the handler still commits
    if (this.#committing) return void this.#committing.then(() => this.closed()).catch(() => undefined);
    const { state } = this;
    if (this.#isOver || !state?.isModified || this.#isWithheld(state)) return undefined;
    this.services.events.emit('unsaved', { handle: state.handle });
    const message =
      'A response ended with session changes that were made after its first byte and are lost: ' +
      '`await session.save()` after such a change.';
    this.services.events.warnOnce('unsaved', message);
    return undefined;
  }

  #load(): Promise<void> {
    const { response } = this.exchange;
    if (response.headersSent) response.once('close', () => this.closed());
    else this.#barrier = new ResponseBarrier(response, this, (error) => this.#logFailure(error));
    return this.services.backend.open(this.#readCookies().tokens).then((state) => {
      state.uses = this.#isAsked ? 1 : 0;
      this.state = state;
      if (this.#isOver) this.#warnOfLateChanges(state);
    });
  }

  #readCookies(): CookiesRead {
    if (this.#cookies) return this.#cookies;
    this.#cookies = this.services.cookie.read(this.exchange.request.headers.cookie, this.isSecure);
    const { tokens, presentNames } = this.#cookies;
    if (tokens.length === 0 && presentNames.length > 0) this.#tell('rejected', { reason: 'cookie' });
    return this.#cookies;
  }

  /** Whether the browser spoke HTTPS. */
  get isSecure(): boolean {
    return (this.#isSecureRequest ??= this.#askIsSecure());
  }

  #isSecureRequest: boolean | undefined;

  #askIsSecure(): boolean {
    if (this.services.alwaysHttps) return true;
    const isSecure = this.exchange.isSecure();
    if (!isSecure && this.exchange.request.headers['x-forwarded-proto'] === 'https') {
      const message =
        'A request says X-Forwarded-Proto: https, but the platform calls it http: set "trust proxy" on Express ' +
        "(app.set('trust proxy', 1)) or trustProxy on Fastify, else the session cookie is not Secure.";
      this.services.events.warnOnce('untrusted proxy', message);
    }
    return isSecure;
  }

  #run(state: SessionState, plan: CommitPlan): Promise<void> | undefined {
    const needsCookie = plan.kind === 'create' || this.services.backend.livesInCookie;
    if (needsCookie && this.#isWithheld(state)) {
      const message =
        'cookie.secure is true, but a request came by plain HTTP: no session is saved, because browsers drop the ' +
        "cookie. Use HTTPS (behind a proxy: set trust proxy), or cookie.secure 'auto'.";
      this.services.events.warnOnce('withheld', message);
      return undefined;
    }
    return this.#inTurn(this.#write(state, plan));
  }

  /** One command at a time: what comes meanwhile waits for it. */
  #inTurn(command: Promise<void>): Promise<void> {
    const committing = command.finally(() => {
      if (this.#committing === committing) this.#committing = undefined;
    });
    return (this.#committing = committing);
  }

  async #write(state: SessionState, plan: CommitPlan): Promise<void> {
    const { backend, cookie } = this.services;
    const { storedCookieEnd: endBefore } = state;
    // A store that fails may have done half of it; what lives in the cookie is as it was sealed last.
    this.#isUnacknowledged = !backend.livesInCookie;
    let committed: Committed;
    try {
      committed = await backend.commit(state, plan, cookie.placeFor(this.isSecure));
    } catch (error) {
      this.#isRotated = hasCode(error, 'SESSION_ROTATED');
      throw error;
    }
    const proof = 'proof' in plan ? plan.proof : undefined;
    if (proof) await this.#follow(state);
    this.#isUnacknowledged = false;
    this.#tellOf(committed, proof, state);
    if (plan.kind === 'end') return this.#startAnew();
    const { stored } = state;
    if (!stored || committed.done === 'nothing') return; // what was to be touched has ended meanwhile, or has a newer id
    const isSentAnew = this.services.saveEveryRequest && !this.isPassive;
    const hasNewValue = stored.id !== state.browserId || backend.livesInCookie || isSentAnew;
    if (!(hasNewValue || stored.isSignedByOldSecret || state.cookieEnd !== endBefore)) return;
    state.stored = { ...stored, isSignedByOldSecret: false };
    state.browserId = stored.id;
    this.#cookieCommand = { session: state.stored, end: state.cookieEnd };
  }

  #tellOf({ done, ended }: Committed, proof: Proof | undefined, { stored, userId }: SessionState): void {
    this.#tellOfEnded(ended, done === 'ended' ? 'flushed' : 'replaced');
    if (!stored || done === 'ended' || done === 'nothing') return;
    if (this.services.events.isHeard(done)) this.#tell(done, subjectOf(stored.record));
    if (proof && proof.kind !== 'refresh' && userId !== undefined)
      this.#tell('authenticated', subjectOf(stored.record));
  }

  #tellOfEnded(ended: readonly SessionRecord[], reason: EndReason): void {
    for (const record of ended) this.#tell('ended', { ...subjectOf(record), reason });
  }

  #tell<E extends SessionEventName>(name: E, event: SessionEventMap[E]): void {
    this.services.events.emit(name, event);
  }

  async #follow({ stored }: SessionState): Promise<void> {
    const { follower } = this;
    this.follower = undefined;
    if (stored) await follower?.committed(stored);
  }

  /** Whether what was done to the session can be saved with a Set-Cookie header only. */
  #needsCookie(): boolean | undefined {
    return this.services.backend.livesInCookie ? this.state?.isModified : this.state?.needsCookie;
  }

  /** The client is told of the failure, so that nothing is tried again. */
  #giveUp(error: unknown): never {
    this.#isOver = true;
    this.#failure = { error };
    throw error;
  }

  /** The session is gone, the object goes on as a new anonymous one. */
  #startAnew(): void {
    this.#cookieCommand = this.#readCookies().presentNames.length > 0 ? 'clear' : undefined;
    this.state = this.services.backend.fresh();
    this.state.uses = 1;
  }

  #isWithheld(state: SessionState): boolean {
    const { backend, cookie } = this.services;
    return (state.isNew || backend.livesInCookie) && cookie.isWithheld(this.isSecure);
  }

  #setCookies(): string[] {
    if (this.#repeatCookie !== undefined) return [this.#repeatCookie];
    const command = this.#cookieCommand;
    if (command === undefined || this.#isUnacknowledged) return [];
    const isSecure = this.isSecure;
    const { backend, cookie, clock } = this.services;
    if (cookie.isWithheld(isSecure)) return [];
    const { presentNames } = this.#readCookies();
    if (command === 'clear') return presentNames.map((name) => cookie.clear(name, isSecure));
    const cookies = backend.cookiesFor(command.session, cookie.placeFor(isSecure), presentNames);
    return cookies.map(({ name, value }) =>
      value === undefined
        ? cookie.clear(name, isSecure)
        : cookie.set(name, value, command.end, isSecure, clock.now()),
    );
  }

  /** Who logs a request logs this with it. */
  [inspect.custom](): SessionView {
    return this.session;
  }

  #logFailure(error: unknown): void {
    const { stack, message } = Object(error) as Partial<Error>;
    this.services.events.error(stack ?? message ?? 'The answer could not be sent.');
  }
}

function nameOf(setCookie: string): string {
  return setCookie.split('=', 1)[0];
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
