import { hash, randomBytes } from 'node:crypto';
import type { AskStore } from '../backends/ask-store.js';
import type { EpochMs, SessionClock } from '../core/clock.js';
import { MODULE_POLICY } from '../core/deadlines.js';
import { RECORD_FORMAT, type SessionRecord } from '../core/record.js';
import { loginTimeOf } from '../core/login-values.js';
import { newHandle } from '../core/session-id.js';
import type { SessionState } from '../core/session-state.js';
import { SessionLimitException } from '../errors.js';
import type { SessionStore } from '../stores/session-store.js';
import type { LoggedIn, UserSessions } from './user-sessions.js';

/** A login that was let in and is not stored yet counts for so long, should its process die. */
const LEASE_MS = 60_000;
/** A ledger that nobody needs any more leaves by itself. */
const LEDGER_MS = 24 * 60 * 60 * 1000;
/** The last moment that JavaScript has a date for. */
const NEVER: EpochMs = 8.64e15;
const CLAIMS = 'claims';
const MAX_ROUNDS = 1_000;

/** The logins of a user that are under way; `version` counts the changes. */
interface Ledger {
  readonly version: number;
  readonly claims: readonly LedgerClaim[];
}

interface LedgerClaim {
  /** `<seat>.<chance>`: logins with one seat, a form that is sent twice, take one place. */
  readonly id: string;
  readonly at: EpochMs;
}

const EMPTY: Ledger = { version: 0, claims: [] };

/**
 * `maxSessions` with `refuse`, exact when logins come at once.
 *
 * To count and then to log in would let two in where there is room for one. So each login first takes its place in
 * the user's ledger, a record of its own in the session store which is changed by compare-and-swap (`store.atomic`), and
 * leaves it when its session is stored: then that counts. A count that somebody was faster than is taken again.
 */
export class SessionLimit {
  constructor(
    readonly limit: number,
    private readonly store: SessionStore,
    private readonly asking: AskStore,
    private readonly sessions: UserSessions,
    private readonly clock: SessionClock,
    private readonly graceMs: number,
  ) {}

  /**
   * Takes a place for one more session.
   *
   * @param session the one in which the user logs in. Where it has a place already it needs no other, nor where the same
   * form, sent twice, has just taken one
   * @throws SessionLimitException (409)
   */
  async admit(userId: string, session: Pick<SessionState, 'handle' | 'origin'>): Promise<Claim> {
    const seat = hash('sha256', `nest-session seat ${session.origin}`, 'base64url').slice(0, 16);
    const id = `${seat}.${randomBytes(12).toString('base64url')}`;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { key, ledger: counted } = await this.#openLedger(userId);
      const found = await this.sessions.of(userId);
      const living = found.filter(
        (each) => each.record.handle !== session.handle && !this.#isTwin(each, seat),
      );
      const stored = new Set(living.map(({ auth }) => auth.claim));
      const step = await this.#change<'changed' | 'full' | 'admitted'>(key, (ledger, now) => {
        if (ledger.version !== counted.version) return { answer: 'changed', ledger };
        const claims = ledger.claims.filter((claim) => claim.at + LEASE_MS > now);
        const underWay = claims.filter((claim) => !stored.has(claim.id) && seatOf(claim) !== seat);
        if (living.length + placesOf(underWay) >= this.limit) return { answer: 'full', ledger };
        return {
          answer: 'admitted',
          ledger: { version: ledger.version + 1, claims: [...claims, { id, at: now }] },
        };
      });
      if (step === 'full') throw new SessionLimitException(this.limit);
      if (step === 'admitted') return { id, leave: () => this.#leave(key, id) };
    }
    throw this.asking.failed('atomic', new Error('The number of sessions could not be counted in time.'));
  }

  /** The same form was sent before, and has just begun this session: the second login will join it. */
  #isTwin({ auth }: LoggedIn, seat: string): boolean {
    if (auth.claim === undefined || seatOf({ id: auth.claim }) !== seat) return false;
    return loginTimeOf(auth) + this.graceMs > this.clock.now();
  }

  /** The session is stored and counts by itself, or will never be. */
  async #leave(key: string, id: string): Promise<void> {
    await this.#change(key, ({ version, claims }) => ({
      answer: 'left',
      ledger: { version: version + 1, claims: claims.filter((claim) => claim.id !== id) },
    })).catch(() => undefined); // the lease ends it too, and the failure was logged
  }

  /** @returns what the last call of `change` answered; undefined when the ledger's time was just over */
  async #change<A>(
    key: string,
    change: (ledger: Ledger, now: EpochMs) => { answer: A; ledger: Ledger },
  ): Promise<A | undefined> {
    let last: { answer: A; ledger: Ledger } | undefined;
    const update = (text: string | undefined): string => {
      last = change(ledgerOf(text), this.clock.now());
      return JSON.stringify(last.ledger);
    };
    const result = await this.asking.ask('atomic', () => this.store.atomic(key, CLAIMS, update));
    return result && last?.answer;
  }

  /**
   * The ledger in use. One that expired but was not swept away yet holds its key: then the next one is used, by
   * everybody, for they all come by the same way.
   */
  async #openLedger(userId: string): Promise<{ key: string; ledger: Ledger }> {
    for (let number = 0; number < MAX_ROUNDS; number++) {
      const key = hash('sha256', `nest-session ledger ${number} ${userId}`, 'hex');
      const found = (await this.#load(key)) ?? (await this.#create(key)) ?? (await this.#load(key));
      if (found) return { key, ledger: found };
    }
    throw this.asking.failed('create', new Error('No ledger could be opened.'));
  }

  async #load(key: string): Promise<Ledger | undefined> {
    const record = await this.asking.ask('load', () => this.store.load(key));
    const now = this.clock.now();
    if (!record || record.gone || record.expiresAt <= now) return undefined;
    if (record.expiresAt < now + LEDGER_MS / 2) {
      const touch = { lastSeenAt: now, expiresAt: now + LEDGER_MS, basedOn: MODULE_POLICY };
      await this.asking.ask('touch', () => this.store.touch(key, touch, record));
    }
    return ledgerOf(record.values[CLAIMS]);
  }

  async #create(key: string): Promise<Ledger | undefined> {
    const now = this.clock.now();
    const record: SessionRecord = {
      format: RECORD_FORMAT,
      handle: newHandle(now),
      values: { [CLAIMS]: JSON.stringify(EMPTY) },
      createdAt: now,
      lastSeenAt: now,
      expiresAt: now + LEDGER_MS,
      absoluteExpiresAt: NEVER,
      policy: MODULE_POLICY,
    };
    const isMine = await this.asking.ask('create', () => this.store.create(key, record));
    return isMine ? EMPTY : undefined;
  }
}

function seatOf({ id }: Pick<LedgerClaim, 'id'>): string {
  return id.split('.', 1)[0];
}

function placesOf(claims: readonly LedgerClaim[]): number {
  return new Set(claims.map(seatOf)).size;
}

function ledgerOf(text: string | undefined): Ledger {
  return text === undefined ? EMPTY : (JSON.parse(text) as Ledger);
}

/** A place among a user's sessions. */
export interface Claim {
  readonly id: string;
  leave(): Promise<void>;
}
