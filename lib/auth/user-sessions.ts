import type { AskStore } from '../backends/ask-store.js';
import type { EpochMs, SessionClock } from '../core/clock.js';
import { AUTH, type AuthValue, authValueOf, loginTimeOf } from '../core/login-values.js';
import type { StoredIdentity } from '../core/session-state.js';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import { type EndReason, type SessionEvents, subjectOf } from '../events/session-events.js';
import type { SessionStore, StoredSession } from '../stores/session-store.js';
import { sessionOfUser, sessionsOfUser } from '../stores/sessions-of-user.js';

/** A session that somebody is logged in with. */
export interface LoggedIn extends StoredSession {
  readonly auth: AuthValue;
}

/** How often a session is looked for anew that got a new id while it was to be ended. */
const MAX_TRIES = 20;

/** So many sessions end at once: a limit that is new may meet thousands, and visitors need the pool's connections too. */
const BATCH = 10;

/**
 * The sessions of a user, found by the store's index.
 *
 * All throw SessionStoreUnsupportedError where the store has none.
 */
export class UserSessions {
  constructor(
    private readonly store: SessionStore,
    private readonly asking: AskStore,
    private readonly options: Pick<ResolvedSessionOptions, 'rotationGraceMs' | 'serializer'>,
    private readonly clock: SessionClock,
    private readonly events: SessionEvents,
  ) {}

  /** Newest login first; the order is total, so that everybody who looks agrees on it. */
  async of(userId: string): Promise<LoggedIn[]> {
    const find = () => sessionsOfUser(this.store, userId, { values: [AUTH] });
    const found = await this.asking.ask('findByUser', find);
    return found
      .flatMap((session) => {
        const auth = this.#authOf(session);
        return auth ? [{ ...session, auth }] : [];
      })
      .sort(newestFirst);
  }

  /** @returns false when the user has no session of this name */
  async end(userId: string, handle: string): Promise<boolean> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const find = () => sessionOfUser(this.store, userId, handle, { values: [] });
      const session = await this.asking.ask('findByUser', find);
      if (!session) return false;
      if (await this.#delete(session, 'revoked')) return true;
    }
    throw this.asking.failed('delete', new Error(`A session got a new id ${MAX_TRIES} times in a row.`));
  }

  /** Ends all but the newest. */
  async keepNewest(userId: string, limit: number): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const surplus = (await this.of(userId)).slice(limit);
      let areEnded = true;
      for (let next = 0; next < surplus.length; next += BATCH) {
        const batch = surplus.slice(next, next + BATCH);
        const ended = await Promise.all(batch.map((session) => this.#delete(session, 'limit')));
        areEnded &&= ended.every(Boolean);
      }
      if (areEnded) return;
      // One ended by itself, or got a new id meanwhile: look again.
    }
    throw this.asking.failed('delete', new Error(`Sessions got new ids ${MAX_TRIES} times in a row.`));
  }

  /**
   * @param spared a session that stays, under whatever key it has by now
   * @returns how many ended
   */
  async endAll(userId: string, spared?: StoredIdentity): Promise<number> {
    const options = {
      exceptKey: spared?.key,
      exceptHandle: spared?.record.handle,
      tombstoneUntil: this.#graceEnd(),
    };
    const ended = await this.asking.ask('deleteByUser', () => this.store.deleteByUser(userId, options));
    if (ended > 0) this.events.emit('ended', { userId, reason: 'revoked' });
    return ended;
  }

  async #delete({ key, record }: StoredSession, reason: EndReason): Promise<boolean> {
    const isMine = await this.asking.ask('delete', () => this.store.delete(key, this.#graceEnd()));
    if (isMine) this.events.emit('ended', { ...subjectOf(record), reason });
    return isMine;
  }

  #graceEnd(): EpochMs {
    return this.clock.now() + this.options.rotationGraceMs;
  }

  #authOf({ record }: StoredSession): AuthValue | undefined {
    if (!Object.hasOwn(record.values, AUTH)) return undefined;
    try {
      return authValueOf(this.options.serializer.parse(record.values[AUTH]));
    } catch {
      return undefined; // unreadable: nobody can use it
    }
  }
}

function newestFirst(a: LoggedIn, b: LoggedIn): number {
  const byTime = loginTimeOf(b.auth) - loginTimeOf(a.auth);
  return byTime || (a.record.handle < b.record.handle ? 1 : -1);
}
