import { hash } from 'node:crypto';
import type { EpochMs } from '../../core/clock.js';
import { pagesOf } from './pages.js';
import { userField, writeTime } from './session-hash.js';
import type { RedisLink } from './redis-link.js';
import { TRACK } from './scripts.js';

/**
 * Which sessions a user has: a sorted set for each user, with the keys of their sessions by deadline.
 *
 * On a single node the scripts keep it in step with the sessions: a deadline that moves is noted in the same step. In a
 * cluster it lies in another slot, and is written after the session by a command of its own. There sessions are noted with
 * their absolute deadline, which a touch does not move, so that no living session can drop out of it.
 *
 * It may name sessions that are dead. Whoever reads it asks each session, and takes the dead ones out. But it names all that
 * live: a server that evicts may drop it, and then its sessions are over, for nobody who ends the user's sessions would
 * find them.
 */
export class UserIndex {
  constructor(
    private readonly link: RedisLink,
    private readonly keysBeginWith: string,
  ) {}

  /** What all indexes' names begin with; the scripts add the rest. */
  get prefix(): string {
    return `${this.keysBeginWith}user:`;
  }

  /** All that the index names, dead or alive. */
  async read(userId: string, now: EpochMs): Promise<string[]> {
    const index = this.#nameOf(userId);
    return (await this.link.read(index, 'zrangebyscore', index, `(${now}`, '+inf')) as string[];
  }

  /** Whether it names a session; reading it keeps it from being the first that a full server drops. */
  async names(userId: string, key: string): Promise<boolean> {
    const index = this.#nameOf(userId);
    const score = await this.link.read(index, 'zscore', index, key);
    return score !== null && score !== undefined;
  }

  /** Takes out what is dead, and what is over. */
  async repair(userId: string, now: EpochMs, dead: readonly string[]): Promise<void> {
    const index = this.#nameOf(userId);
    const over = this.link.ask(index, 'zremrangebyscore', index, '-inf', String(now));
    for (const page of pagesOf(dead)) await this.link.ask(index, 'zrem', index, ...page);
    await over;
  }

  /** In a cluster: notes a session. */
  async add(userId: string, key: string, absoluteExpiresAt: EpochMs, now: EpochMs): Promise<void> {
    await this.link.run(
      TRACK,
      [this.#nameOf(userId)],
      [writeTime(now), '', '', key, writeTime(absoluteExpiresAt)],
    );
  }

  /** In a cluster: takes a session out. */
  async remove(userId: string, key: string): Promise<void> {
    const index = this.#nameOf(userId);
    await this.link.ask(index, 'zrem', index, key);
  }

  /** Short, and the same in the scripts; that it is unique is not needed, for each session says whose it is. */
  #nameOf(userId: string): string {
    return this.prefix + hash('sha1', userField(userId));
  }
}
