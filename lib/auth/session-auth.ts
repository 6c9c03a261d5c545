import { Inject, Injectable } from '@nestjs/common';
import { AskStore, isUnsupported } from '../backends/ask-store.js';
import type { EpochMs, SessionClock } from '../core/clock.js';
import { BROWSER_POLICY, type ExpiryPolicy, MODULE_POLICY, PERSISTENT_POLICY } from '../core/deadlines.js';
import {
  AUTH,
  levelOf,
  provedAt,
  type AuthValue,
  type LoginMeta,
  type PendingValue,
} from '../core/login-values.js';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import { lifecycleOf } from '../core/session.js';
import type { NewLogin, SessionState, StoredIdentity } from '../core/session-state.js';
import {
  NotAuthenticatedException,
  SessionExpiredException,
  SessionHeadersSentError,
  SessionLimitException,
  SessionNotFoundException,
  SessionOptionsError,
  SessionUsageError,
} from '../errors.js';
import { SessionEvents, subjectOf } from '../events/session-events.js';
import { type LoginFollower, RequestSession, type UserSource } from '../http/request-session.js';
import { lacks, type SessionStore } from '../stores/session-store.js';
import {
  RESOLVED_AUTH_OPTIONS,
  RESOLVED_SESSION_OPTIONS,
  SESSION_CLOCK,
  SESSION_STORE,
  SESSION_USERS,
} from '../tokens.js';
import { AuthHash } from './auth-hash.js';
import type { SessionUserProvider } from './auth-options.js';
import {
  type LoginOptions,
  type LogoutOptions,
  rememberOf,
  type SessionOfRequest,
  type UserSession,
} from './login-options.js';
import type { ResolvedAuthOptions } from './resolve-auth-options.js';
import { type Claim, SessionLimit } from './session-limit.js';
import { UserSessions } from './user-sessions.js';
import { Users } from './users.js';

/** What is known of a session's user in this request. */
interface Known<User> {
  readonly userId: string;
  user: User | undefined;
  loading: Promise<User | undefined> | undefined;
}

const MAX_USER_AGENT = 500;

/**
 * Logins: who is behind a session, since when, and for how long.
 *
 * A login happens with the response (a server error undoes it), and always gives the session a new id; a logout, and
 * whatever else ends sessions, acts at once.
 *
 * @typeParam User what your `SessionUserProvider` finds
 * @example
 * constructor(private readonly auth: SessionAuth<User>) {}
 *
 * @Post('login') @Public()
 * async login(@Session() session: Session, @Body() form: LoginForm) {
 *   const user = await this.passwords.check(form.name, form.password); // yours
 *   await this.auth.login(session, user, { remember: form.remember });
 * }
 */
@Injectable()
export class SessionAuth<User = unknown> implements UserSource {
  readonly #known = new WeakMap<SessionState, Known<User>>();
  readonly #users: Users<User>;
  readonly #sessions: UserSessions;
  readonly #limit: SessionLimit | undefined;

  constructor(
    @Inject(SESSION_USERS) users: SessionUserProvider<User>,
    @Inject(RESOLVED_AUTH_OPTIONS) private readonly options: ResolvedAuthOptions,
    @Inject(RESOLVED_SESSION_OPTIONS) private readonly sessionOptions: ResolvedSessionOptions,
    @Inject(SESSION_CLOCK) private readonly clock: SessionClock,
    @Inject(SESSION_STORE) store: SessionStore,
    @Inject(SessionEvents) private readonly events: SessionEvents,
  ) {
    this.#users = new Users(users, new AuthHash(sessionOptions.secrets));
    const asking = new AskStore(sessionOptions.storeTimeoutMs, events);
    this.#sessions = new UserSessions(store, asking, sessionOptions, clock, events);
    const { maxSessions } = options;
    if (maxSessions) refuseStoreWithoutUsers(store);
    if (maxSessions?.onExceed === 'refuse')
      this.#limit = new SessionLimit(
        maxSessions.limit,
        store,
        asking,
        this.#sessions,
        clock,
        sessionOptions.rotationGraceMs,
      );
  }

  /**
   * The user has proved who they are: this session is theirs, under a new id, when the response leaves.
   *
   * What an anonymous visitor had in the session stays there. A session of another user, or of this one before their
   * password changed, ends first. Needs no living session: a form that is sent twice logs in twice.
   *
   * @throws NotAuthenticatedException (401) when the user is not active; SessionLimitException (409) with `maxSessions`
   * that refuses
   */
  async login(session: SessionOfRequest, user: User, options: LoginOptions = {}): Promise<void> {
    const request = await this.#open(session);
    const userId = this.#users.idOf(user);
    if (!(await this.#users.isActive(user))) throw new NotAuthenticatedException();
    await request.openRenamed(userId);
    const pending = this.#pendingOf(request);
    const earlier = pending?.userId === userId ? pending : undefined;
    const claim = await this.#admit(request, userId);
    try {
      if (await this.#mustStartAnew(request, user, userId)) await request.replace();
      const now = this.clock.now();
      const at = Math.min(options.authenticatedAt?.getTime() ?? now, now);
      // The form of a second step has no box of its own: the first one's counts.
      const remembered = options.remember == null ? earlier?.remember : undefined;
      this.#authenticate(request, 'login', user, userId, {
        at,
        since: at === now ? undefined : now,
        hash: await this.#users.newHash(user, userId),
        level: options.level,
        methods: union(earlier?.methods, options.methods),
        remember: remembered ?? rememberOf(options),
        claim: claim?.id,
        meta: this.#metaOf(request),
      });
      await this.#follow(request, userId, claim);
    } catch (error) {
      await claim?.leave();
      throw error;
    }
  }

  /**
   * The user who is logged in has proved it again (asked for by `@Authenticated({ within })`): a new id, a new
   * `authenticatedAt`, and both deadlines begin anew.
   *
   * @param options what was proved now; methods are added, a level replaces the one there was.
   * Without a level the session keeps the one that it has, as old as that is
   * @throws NotAuthenticatedException, SessionExpiredException (401) when nobody is logged in
   */
  async confirm(
    session: SessionOfRequest,
    options: Pick<LoginOptions, 'methods' | 'level' | 'authenticatedAt'> = {},
  ): Promise<void> {
    const request = await this.#open(session);
    const user = await this.userOf(request);
    const { auth, userId } = stateOf(request);
    if (user === undefined || !auth || userId === undefined) throw nobody(request);
    const now = this.clock.now();
    const at = Math.min(options.authenticatedAt?.getTime() ?? now, now);
    this.#authenticate(request, 'confirm', user, userId, {
      ...auth,
      at,
      since: at === now ? undefined : now,
      hash: await this.#users.newHash(user, userId),
      level: options.level ?? auth.level,
      levelAt: options.level === undefined ? provedAt(auth, levelOf(auth)) : undefined,
      methods: union(auth.methods, options.methods),
      meta: this.#metaOf(request),
    });
    await this.#follow(request, userId, undefined);
  }

  /**
   * The first factor was right, the second is outstanding: nobody is logged in, and the guard says
   * `SECOND_FACTOR_REQUIRED`. Ends by itself after `pendingTimeout`; `login()` completes it.
   *
   * @param options what `login()` shall know of the first step
   */
  async pending(
    session: SessionOfRequest,
    user: User,
    options: Pick<LoginOptions, 'remember' | 'methods'> = {},
  ): Promise<void> {
    const request = await this.#open(session);
    const userId = this.#users.idOf(user);
    if (!(await this.#users.isActive(user))) throw new NotAuthenticatedException();
    await request.openRenamed(userId);
    if (await this.#mustStartAnew(request, user, userId)) await request.replace();
    const hash = await this.#users.newHash(user, userId);
    const { methods } = options;
    const value = { userId, at: this.clock.now(), hash, remember: rememberOf(options), methods };
    stateOf(request).awaitSecondFactor(withoutUndefined(value));
  }

  /** The user whose second factor is outstanding; undefined when there is none, or it took too long. */
  async pendingUser(session: SessionOfRequest): Promise<User | undefined> {
    const request = requestOf(session);
    await request.load();
    const pending = this.#pendingOf(request);
    if (!pending) return undefined;
    const user = await this.#users.find(pending.userId);
    if (user === undefined) return undefined;
    return (await this.#users.judge(user, pending.userId, pending)) === 'over' ? undefined : user;
  }

  /**
   * Ends the session now, wherever it is by now, and takes its cookie away. One that is not there any more is no error,
   * nor is an id that was just replaced: who logs out is out.
   *
   * @throws SessionRotatedException (409) when the session has a newer id, and its store does not keep which
   */
  async logout(session: SessionOfRequest, { clearSiteData }: LogoutOptions = {}): Promise<void> {
    const request = requestOf(session);
    await request.load();
    for (const record of await request.flush('logout'))
      if (record.userId !== undefined) this.events.emit('loggedOut', subjectOf(record));
    if (clearSiteData && request.isSecure)
      request.setHeader('Clear-Site-Data', clearSiteDataOf(clearSiteData));
  }

  /**
   * The user who is logged in. Loaded once per request; a user who is gone, not active, or has another auth hash than
   * at the login, is nobody, and the session ends at once.
   */
  async user(session: SessionOfRequest): Promise<User | undefined> {
    const request = requestOf(session);
    await request.load();
    return this.userOf(request);
  }

  /**
   * After a change of the password (or whatever `authHash` tells): this session goes on under a new id, all others of
   * the user end now.
   *
   * @param user as they are after the change
   */
  async refresh(session: SessionOfRequest, user: User): Promise<void> {
    const request = await this.#open(session);
    const state = stateOf(request);
    const { auth, userId, stored } = state;
    if (!auth || userId !== this.#users.idOf(user)) throw nobody(request);
    // The hash in the session is the old one, and can't be judged any more.
    if (this.#known.get(state)?.userId !== userId)
      throw new SessionUsageError(
        'refresh() needs a session whose user was loaded before the change: put @Authenticated() on the route.',
      );
    state.refresh(userId, withoutUndefined({ ...auth, hash: await this.#users.newHash(user, userId) }));
    this.#known.set(state, { userId, user, loading: undefined });
    const ending = this.#sessions.endAll(userId, stored);
    // Without an index they end at their next request, by their hash.
    await (this.#users.hasAuthHash ? ending.catch(unlessUnsupported(0)) : ending);
  }

  /**
   * Where a user is logged in, last seen first.
   *
   * @param current the session that asks, to be marked in the list
   * @throws SessionStoreUnsupportedError when the store finds no sessions by user
   */
  async sessions(user: User, current?: SessionOfRequest): Promise<UserSession[]> {
    const found = await this.#sessions.of(this.#users.idOf(user));
    await current?.load();
    const handle = current?.handle;
    return found
      .sort((a, b) => b.record.lastSeenAt - a.record.lastSeenAt)
      .map(({ record, auth }) => ({
        handle: record.handle,
        createdAt: new Date(record.createdAt),
        lastSeenAt: new Date(record.lastSeenAt),
        authenticatedAt: new Date(auth.at),
        isCurrent: record.handle === handle,
        methods: auth.methods ?? [],
        meta: auth.meta,
      }));
  }

  /**
   * Ends one session of a user now, on every node.
   *
   * @throws SessionNotFoundException (404) when the user has none of this handle, also when somebody else has
   */
  async revoke(user: User, handle: string): Promise<void> {
    if (!(await this.#sessions.end(this.#users.idOf(user), handle))) throw new SessionNotFoundException();
  }

  /**
   * Ends all sessions of the user but this one, now.
   *
   * @returns how many
   */
  async revokeOthers(session: SessionOfRequest): Promise<number> {
    const request = requestOf(session);
    await request.load();
    const { userId, stored } = stateOf(request);
    if (userId === undefined) throw nobody(request);
    return this.#sessions.endAll(userId, stored);
  }

  /**
   * Ends all sessions of a user now.
   *
   * @returns how many
   */
  async revokeAll(user: User): Promise<number> {
    return this.#sessions.endAll(this.#users.idOf(user));
  }

  /** For the framework: as `user()`, without waiting where the user is known. The session is loaded. */
  userOf(request: RequestSession): User | undefined | Promise<User | undefined> {
    const state = stateOf(request);
    const { userId } = state;
    if (userId === undefined) return undefined;
    const known = this.#known.get(state);
    if (known?.userId === userId) return known.loading ?? known.user;
    const loading = this.#check(request, state, userId);
    const entry: Known<User> = { userId, user: undefined, loading };
    this.#known.set(state, entry);
    loading.then(
      (user) => Object.assign(entry, { user, loading: undefined }),
      () => this.#known.delete(state), // ask again
    );
    return loading;
  }

  /** For the framework: the user, if loaded. */
  knownUserOf({ state }: RequestSession): User | undefined {
    const known = state && this.#known.get(state);
    return known?.userId === state?.userId ? known?.user : undefined;
  }

  /** For the framework: a login of a user whom nobody asked for a proof. */
  async newLogin(userId: string): Promise<NewLogin> {
    const user = await this.#users.find(userId);
    if (user === undefined || !(await this.#users.isActive(user)))
      throw new SessionUsageError(
        'There is no active user of this id: findById() and isActive() were asked.',
      );
    const hash = await this.#users.newHash(user, userId);
    const { absoluteTimeoutMs } = this.sessionOptions;
    return {
      userId,
      auth: withoutUndefined({ at: this.clock.now(), hash }),
      kind: 'login',
      absoluteTimeoutMs,
    };
  }

  /** For the framework: whether a second factor is outstanding. */
  isPending(request: RequestSession): boolean {
    return this.#pendingOf(request) !== undefined;
  }

  /** Takes a place for the login where `maxSessions` refuses. */
  async #admit(request: RequestSession, userId: string): Promise<Claim | undefined> {
    try {
      return await this.#limit?.admit(userId, stateOf(request));
    } catch (error) {
      if (error instanceof SessionLimitException)
        this.events.emit('rejected', { userId, reason: error.code });
      throw error;
    }
  }

  async #check(request: RequestSession, state: SessionState, userId: string): Promise<User | undefined> {
    const { auth } = state;
    const user = await this.#users.find(userId);
    const verdict = auth && user !== undefined ? await this.#users.judge(user, userId, auth) : 'over';
    // Another login in this request is not what was judged.
    if (request.state !== state || state.auth !== auth) return this.knownUserOf(request);
    if (verdict === 'restamp' && user !== undefined)
      await request.restamp(AUTH, { ...auth, hash: await this.#users.newHash(user, userId) });
    if (verdict !== 'over') return user;
    await request.endDead();
    return undefined;
  }

  /** The session of a request that can still be answered with a new cookie. */
  async #open(session: SessionOfRequest): Promise<RequestSession> {
    const request = requestOf(session);
    await request.load();
    if (request.hasBegun) throw new SessionHeadersSentError();
    return request;
  }

  /** Whether what is in the session must not come to this user (law 8), or cannot be believed (law 7). */
  async #mustStartAnew(request: RequestSession, user: User, userId: string): Promise<boolean> {
    const { presence, ownerId, auth, pending, stored } = stateOf(request);
    if (presence === 'ambiguous' && !stored) return true;
    if ([ownerId, pending?.userId].some((id) => id !== undefined && id !== userId)) return true;
    return auth !== undefined && (await this.#users.judge(user, userId, auth)) === 'over';
  }

  #authenticate(
    request: RequestSession,
    kind: 'login' | 'confirm',
    user: User,
    userId: string,
    auth: AuthValue,
  ): void {
    const state = stateOf(request);
    const { rememberForMs } = this.options;
    const { absoluteTimeoutMs } = this.sessionOptions;
    state.authenticate({
      userId,
      auth: withoutUndefined(auth),
      kind,
      absoluteTimeoutMs: auth.remember ? (rememberForMs ?? absoluteTimeoutMs) : absoluteTimeoutMs,
      policy: policyFor(auth.remember, state.auth?.remember),
    });
    this.#known.set(state, { userId, user, loading: undefined });
  }

  async #follow(request: RequestSession, userId: string, claim: Claim | undefined): Promise<void> {
    const { maxSessions } = this.options;
    if (!maxSessions) return;
    const { handle } = stateOf(request);
    const follower: LoginFollower = {
      committed: async ({ record }: StoredIdentity) => {
        await claim?.leave();
        // A login that found its session gone has started another, which nobody has counted.
        if (maxSessions.onExceed === 'end-oldest' || record.handle !== handle)
          await this.#sessions.keepNewest(userId, maxSessions.limit);
      },
      undone: async () => claim?.leave(),
    };
    const earlier = request.follower; // two logins in one request: the later one counts
    request.follower = follower;
    await earlier?.undone();
  }

  #pendingOf(request: RequestSession): PendingValue | undefined {
    const { pending } = stateOf(request);
    const oldest: EpochMs = this.clock.now() - this.options.pendingTimeoutMs;
    return pending && pending.at > oldest ? pending : undefined;
  }

  #metaOf(request: RequestSession): LoginMeta | undefined {
    if (!this.options.meta) return undefined;
    const userAgent = request.request.headers['user-agent']?.slice(0, MAX_USER_AGENT);
    return withoutUndefined({ ip: request.ip, userAgent });
  }
}

function requestOf(session: SessionOfRequest): RequestSession {
  const request = lifecycleOf(session);
  if (request instanceof RequestSession) return request;
  throw new SessionUsageError('SessionAuth takes the session of a request: what @Session() gives.');
}

function stateOf(request: RequestSession): SessionState {
  if (!request.state) throw new SessionUsageError('The session is not loaded.');
  return request.state;
}

/** Why nobody is logged in. */
export function nobody(request: RequestSession, redirectTo?: string): Error {
  const { presence } = stateOf(request);
  if (presence === 'renamed') return request.rotated();
  const hasEnded = presence === 'dead' || presence === 'ended';
  return hasEnded ? new SessionExpiredException(redirectTo) : new NotAuthenticatedException(redirectTo);
}

/** What `remember` asks for; where nothing is asked, what an earlier login asked for is not kept. */
function policyFor(remember: boolean | undefined, before: boolean | undefined): ExpiryPolicy | undefined {
  if (remember !== undefined) return remember ? PERSISTENT_POLICY : BROWSER_POLICY;
  return before === undefined ? undefined : MODULE_POLICY;
}

function union(first: readonly string[] = [], second: readonly string[] = []): readonly string[] | undefined {
  const all = [...new Set([...first, ...second])];
  return all.length > 0 ? all : undefined;
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}

function clearSiteDataOf(what: NonNullable<LogoutOptions['clearSiteData']>): string {
  const kinds = Array.isArray(what) ? (what as readonly string[]) : ['cache', 'storage'];
  return kinds.map((kind) => `"${kind}"`).join(', ');
}

function unlessUnsupported<T>(fallback: T) {
  return (error: unknown): T => {
    if (isUnsupported(error)) return fallback;
    throw error;
  };
}

function refuseStoreWithoutUsers(store: SessionStore): void {
  if (!lacks(store, 'findByUser')) return;
  throw new SessionOptionsError([
    `auth.maxSessions needs a store that finds sessions by user, which ${store.constructor.name} does not: ` +
      'use another store, or leave maxSessions out.',
  ]);
}
