import type { SessionClock } from '../core/clock.js';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import type { SessionRecord } from '../core/record.js';
import type { CommitPlan, SessionState, StoredIdentity } from '../core/session-state.js';
import type { SessionEvents } from '../events/session-events.js';
import type { SessionStore } from '../stores/session-store.js';

/**
 * What a request's Cookie header held under one of our names.
 *
 * @typeParam Token what the backend makes of a cookie that this application wrote
 */
export interface CookiesRead<Token = unknown> {
  /** Each session once; several when the browser holds cookies of several paths or domains. */
  readonly tokens: readonly Token[];
  /** The names under which something came, ours or not: what a logout has to clear. */
  readonly presentNames: readonly string[];
}

/** Where an answer can put the session's cookie. */
export interface CookiePlace {
  readonly name: string;
  /** What stands behind the value in a Set-Cookie header, at most. */
  readonly attributeBytes: number;
}

/** A cookie for the browser; without a value it is taken away. */
export interface CookieToSet {
  readonly name: string;
  readonly value: string | undefined;
}

/**
 * Where the sessions of a module live: behind an id in a store, or in the cookie itself. The seam between a request,
 * which knows headers, and what keeps the data, which knows none.
 *
 * Reads what the cookies name, does what a session's plan says, and tells what cookies an answer carries for it. How
 * cookies are named and what attributes they have is the request's matter.
 */
export interface SessionBackend<Token = unknown> {
  /**
   * The session lives in its cookie and nowhere else: whatever is done to it needs a Set-Cookie header, and so has to
   * come before the first byte.
   */
  readonly livesInCookie: boolean;

  /** Reads the cookies of one name from a Cookie header; asks no store. Whatever is not ours is nothing. */
  readCookies(header: string, name: string): CookiesRead<Token>;

  /**
   * Finds the session that the cookies name; several are believed only if no more than one of them lives.
   *
   * @throws SessionStoreException, SessionFormatException (503)
   */
  open(tokens: readonly Token[]): Promise<SessionState>;

  /**
   * Finds a living session by its user and its public name. Its id stays unknown (''). Left out where nothing finds a
   * session without its cookie.
   *
   * @returns undefined when the user has no such session
   * @throws SessionStoreException, SessionFormatException (503); SessionStoreUnsupportedError
   */
  openOf?(userId: string, handle: string): Promise<SessionState | undefined>;

  /**
   * Finds the session that a request named by an id which was just replaced, for a login of its owner.
   *
   * @returns undefined when it is not there any more, or somebody else's: a replaced id lets nobody in
   */
  openRenamed?(state: SessionState, userId: string): Promise<SessionState | undefined>;

  /**
   * A fresh anonymous session, as after a flush.
   *
   * @param presence `dead`: in the place of one that may not go on
   * @param others sessions that end as soon as a login is stored in this one
   */
  fresh(presence?: 'nothing' | 'dead', others?: readonly StoredIdentity[]): SessionState;

  /**
   * Writes what the plan says, in one step, and takes it as the state's new base.
   *
   * @param place where the answer of this request puts the cookie
   * @throws SessionInterruptedException, SessionRotatedException (409): the session ended, or has a new id;
   * SessionStoreException (503)
   */
  commit(state: SessionState, plan: CommitPlan, place: CookiePlace): Promise<Committed>;

  /**
   * Ends sessions at once, wherever they went meanwhile.
   *
   * @returns those that ended by this call
   * @throws SessionRotatedException (409) when one has a new id that the store does not tell; the others have ended then
   */
  end(sessions: readonly StoredIdentity[]): Promise<readonly SessionRecord[]>;

  /** Ends a session as it was loaded: one that got a new id meanwhile lives on. @returns whether it ended by this call */
  endHere(session: StoredIdentity): Promise<boolean>;

  /**
   * Changes one stored value in one step. Left out where nobody else can change it in between.
   *
   * @throws what `change` throws; SessionInterruptedException when the session ended meanwhile
   */
  atomic?(
    state: SessionState,
    stored: StoredIdentity,
    name: string,
    change: (value: unknown) => unknown,
  ): Promise<void>;

  /**
   * What an answer has to set, so that the browser comes back with this session.
   *
   * @param presentNames the cookies that the request brought: what is left over of them is taken away
   */
  cookiesFor(session: StoredIdentity, place: CookiePlace, presentNames: readonly string[]): CookieToSet[];
}

/** What a commit did. */
export interface Committed {
  readonly done: 'created' | 'saved' | 'rotated' | 'touched' | 'ended' | 'nothing';
  /** The sessions that ended by it: this one, or those that a login took the place of. */
  readonly ended: readonly SessionRecord[];
}

/** What a backend takes from the module. */
export interface BackendServices {
  readonly options: ResolvedSessionOptions;
  readonly clock: SessionClock;
  readonly events: SessionEvents;
}

/**
 * The method by which what stands in a store's place brings a backend of its own. Found by name, so that the main entry
 * need not know who has it, and across both builds of the package.
 */
export const CREATE_BACKEND: unique symbol = Symbol.for('nest-session.createBackend') as never;

/** The backend that a store brings, if it brings one. */
export function ownBackendOf(store: SessionStore, services: BackendServices): SessionBackend | undefined {
  const { [CREATE_BACKEND]: create } = store as {
    [CREATE_BACKEND]?(services: BackendServices): SessionBackend;
  };
  return create?.call(store, services);
}
