import { Inject, Injectable } from '@nestjs/common';
import type { CookieToSet } from '../backends/session-backend.js';
import type { CookieEnd } from '../core/deadlines.js';
import { lifecycleOf, type SessionData } from '../core/session.js';
import { SessionUsageError } from '../errors.js';
import type { RequestSessionServices } from '../http/request-session.js';
import { RequestSessions } from '../http/request-sessions.js';
import type { Session } from '../http/session.decorator.js';
import { SessionStoreUnsupportedError } from '../stores/session-store.js';
import { DetachedSession } from './detached-session.js';

export interface NewSessionOptions {
  /** Log this user in, without a proof and without asking `maxSessions`; needs `auth` in the module's options. */
  userId?: string | number;
}

export interface SessionCookieOfOptions {
  /** [true] For HTTPS; false: for plain HTTP, where the default cookie has another name. */
  secure?: boolean;
}

/**
 * Sessions outside of requests: for jobs, migrations, scripts and tests. Works without HTTP, in an application context.
 *
 * What is done to such a session is written by `save()`, `flush()` and `atomic()`, under the laws that hold in a request:
 * changes are merged into what is stored at that moment, and a session that ended stays dead
 * (SessionInterruptedException). It moves no idle deadline, for nobody came by.
 *
 * @example
 * const session = await sessions.open(user.id, handle); // handles: SessionAuth.sessions(user)
 * session?.set('plan', 'gold');
 * await session?.save();
 */
@Injectable()
export class Sessions {
  readonly #services: RequestSessionServices;

  constructor(@Inject(RequestSessions) requests: RequestSessions) {
    this.#services = requests.services;
  }

  /**
   * A new session; stored by its first `save()`, also without a value or a user in it.
   *
   * @throws SessionUsageError when `userId` names no active user
   */
  async create<T extends object = SessionData>({ userId }: NewSessionOptions = {}): Promise<Session<T>> {
    const { backend, users } = this.#services;
    const state = backend.fresh();
    if (userId !== undefined) {
      if (!users)
        throw new SessionUsageError(
          'create({ userId }) needs auth: { users } in the options of SessionModule.',
        );
      state.authenticate(await users.newLogin(String(userId)));
    }
    return this.#sessionOf<T>(new DetachedSession(state, this.#services));
  }

  /**
   * A living session of a user, by its public name: a store holds no ids, so that nobody is found by one here.
   *
   * @returns undefined when the user has no such session (any more)
   * @throws SessionStoreUnsupportedError when the store finds no sessions by user
   */
  async open<T extends object = SessionData>(
    userId: string | number,
    handle: string,
  ): Promise<Session<T> | undefined> {
    const { backend } = this.#services;
    if (!backend.openOf) throw new SessionStoreUnsupportedError(backend.constructor.name, 'findByUser');
    const state = await backend.openOf(String(userId), handle);
    return state && this.#sessionOf<T>(new DetachedSession(state, this.#services));
  }

  /**
   * The `Cookie` header of a browser that has a session of `create()`. Whoever has it has the session: hand it on as you
   * would a password, and never to a log.
   *
   * @throws SessionUsageError before the first `save()`, and for a session of `open()`, whose id nobody but its browser has
   */
  cookieHeader(session: object, options?: SessionCookieOfOptions): string {
    const { cookies } = this.#cookiesOf(session, options);
    return cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  }

  /**
   * The `Set-Cookie` headers that give a session of `create()` to a browser: one, but where sessions live in cookies.
   *
   * @throws as `cookieHeader`
   */
  setCookieHeaders(session: object, options: SessionCookieOfOptions = {}): string[] {
    const { secure = true } = options;
    const { cookies, end } = this.#cookiesOf(session, options);
    const { cookie, clock } = this.#services;
    return cookies.map(({ name, value = '' }) => cookie.set(name, value, end, secure, clock.now()));
  }

  #cookiesOf(
    session: object,
    { secure = true }: SessionCookieOfOptions = {},
  ): { cookies: CookieToSet[]; end: CookieEnd } {
    const detached = lifecycleOf(session);
    if (!(detached instanceof DetachedSession))
      throw new SessionUsageError('Only a session of Sessions.create() can be handed on.');
    const { stored, cookieEnd } = detached.state;
    if (!stored) throw new SessionUsageError('The session is not stored yet: await session.save() first.');
    if (stored.id === '')
      throw new SessionUsageError(
        'The id of a session of Sessions.open() is known to its browser alone: it can not be handed on.',
      );
    const { backend, cookie } = this.#services;
    const cookies = backend.cookiesFor(stored, cookie.placeFor(secure), []);
    return { cookies: cookies.filter(({ value }) => value !== undefined), end: cookieEnd };
  }

  #sessionOf<T extends object>({ session }: DetachedSession): Session<T> {
    return session as unknown as Session<T>;
  }
}
