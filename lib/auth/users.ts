import type { EpochMs } from '../core/clock.js';
import { type AuthValue, loginTimeOf, type PendingValue } from '../core/login-values.js';
import { SessionUsageError } from '../errors.js';
import type { AuthHash } from './auth-hash.js';
import type { SessionUserProvider } from './auth-options.js';

/** Stores keep a user's id in an index of this width. */
const MAX_ID_LENGTH = 255;

/** Whether a login may go on; `restamp`: it may, and its hash is made with a secret that is not the first any more. */
export type Verdict = 'valid' | 'restamp' | 'over';

/** The application's users, as the framework asks for them. */
export class Users<User> {
  constructor(
    private readonly provider: SessionUserProvider<User>,
    private readonly hashes: AuthHash,
  ) {}

  /** @throws SessionUsageError for what is no id: a user without one would share sessions with all others like it */
  idOf(user: User): string {
    const id: unknown = this.provider.idOf(user);
    const text = typeof id === 'number' && Number.isFinite(id) ? String(id) : id;
    if (typeof text === 'string' && text.length > 0 && text.length <= MAX_ID_LENGTH) return text;
    throw new SessionUsageError(
      `idOf(user) returned what is no id: return a text of 1 to ${MAX_ID_LENGTH} characters, or a number.`,
    );
  }

  async find(userId: string): Promise<User | undefined> {
    return (await this.provider.findById(userId)) ?? undefined;
  }

  async isActive(user: User): Promise<boolean> {
    return this.provider.isActive ? this.provider.isActive(user) : true;
  }

  /** What a new login of this user keeps of their auth hash. */
  async newHash(user: User, userId: string): Promise<string | undefined> {
    return this.hashes.make(userId, await this.#authHash(user));
  }

  get hasAuthHash(): boolean {
    return this.provider.authHash !== undefined;
  }

  /** Judges a login by what its user is now. */
  async judge(user: User, userId: string, login: AuthValue | PendingValue): Promise<Verdict> {
    if (!(await this.isActive(user))) return 'over';
    const validAfter = await this.#validAfter(user);
    if (validAfter !== undefined && loginTimeOf(login) < validAfter) return 'over';
    if (!this.hasAuthHash) return 'valid';
    const comparison = this.hashes.compare(login.hash, userId, await this.#authHash(user));
    if (comparison === 'different') return 'over';
    return comparison === 'old' ? 'restamp' : 'valid';
  }

  async #authHash(user: User): Promise<string | undefined> {
    return (await this.provider.authHash?.(user)) ?? undefined;
  }

  async #validAfter(user: User): Promise<EpochMs | undefined> {
    return (await this.provider.sessionsValidAfter?.(user))?.getTime();
  }
}
