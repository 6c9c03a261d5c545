import { Inject, Injectable } from '@nestjs/common';
import { AskStore } from '../backends/ask-store.js';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import { SessionEvents } from '../events/session-events.js';
import type { SessionStore } from '../stores/session-store.js';
import { RESOLVED_SESSION_OPTIONS, SESSION_STORE } from '../tokens.js';

/** What @nestjs/terminus takes for the result of a health indicator. */
export type SessionHealth<Key extends string = 'session'> = Record<Key, { status: 'up' | 'down' }>;

/**
 * Whether the session store answers, for the health checks of `@nestjs/terminus` (11 and 12) or your own. A provider.
 *
 * @example
 * @Get('health') @HealthCheck() check() { return this.health.check([() => this.sessions.isHealthy()]); }
 */
@Injectable()
export class SessionHealthIndicator {
  readonly #asking: AskStore;

  constructor(
    @Inject(SESSION_STORE) private readonly store: SessionStore,
    @Inject(RESOLVED_SESSION_OPTIONS) { storeTimeoutMs }: ResolvedSessionOptions,
    @Inject(SessionEvents) events: SessionEvents,
  ) {
    this.#asking = new AskStore(storeTimeoutMs, events);
  }

  /**
   * Asks the store for a sign of life, for no longer than `storeTimeout`.
   *
   * @param key the name in the result
   * @returns `down` when there was none; the reason is in the log, and no word of it here. Never rejects
   */
  async isHealthy<Key extends string = 'session'>(key = 'session' as Key): Promise<SessionHealth<Key>> {
    const status = await this.#asking
      .ask('ping', () => this.store.ping())
      .then(
        () => 'up' as const,
        () => 'down' as const,
      );
    return { [key]: { status } } as SessionHealth<Key>;
  }
}
