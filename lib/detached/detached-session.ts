import type { Committed } from '../backends/session-backend.js';
import { SessionView, type SessionLifecycle } from '../core/session.js';
import type { SessionRecord } from '../core/record.js';
import type { SessionState, StoredIdentity } from '../core/session-state.js';
import { hasCode, SessionUsageError } from '../errors.js';
import { warnBeyondAbsolute } from '../events/beyond-absolute.js';
import { subjectOf } from '../events/session-events.js';
import type { RequestSessionServices } from '../http/request-session.js';

/** How often a session is followed that gets a new id while it is written. */
const MAX_TRIES = 20;

/**
 * A session without a request: what it does is written by `save()`, `flush()` and `atomic()` alone. Nobody visits, so that
 * no idle deadline moves.
 */
export class DetachedSession implements SessionLifecycle {
  readonly session = new SessionView(this);
  #state!: SessionState;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    state: SessionState,
    private readonly services: RequestSessionServices,
  ) {
    this.#use(state);
  }

  get state(): SessionState {
    return this.#state;
  }

  /** What has no request is loaded from the start. */
  get hasNothingToLoad(): false {
    return false;
  }

  load(): undefined {
    this.#state.uses++;
  }

  save(): Promise<void> {
    return this.#inTurn(() => this.#write());
  }

  flush(): Promise<void> {
    return this.#inTurn(async () => {
      const { stored } = this.#state;
      // A request may have given it a new id meanwhile: it ends wherever it is.
      if (stored) this.#ended(await this.services.backend.end([stored]));
      this.#startAnew();
    });
  }

  atomic(name: string, change: (value: unknown) => unknown): Promise<unknown> {
    return this.#inTurn(async () => {
      const { backend } = this.services;
      const state = this.#state;
      if (!state.stored || !backend.atomic) {
        state.values.set(name, change(state.values.get(name)));
        await this.#write();
      } else {
        if (state.values.isPending(name)) await this.#write();
        await this.#following((stored) => backend.atomic?.(state, stored, name, change));
      }
      return state.values.get(name);
    });
  }

  csrfToken(binding: string): string {
    return this.services.csrfTokens.issue(binding);
  }

  beyondAbsolute(): void {
    warnBeyondAbsolute(this.services.events);
  }

  async #write(): Promise<void> {
    const plan = this.#state.plan();
    if (!plan) return;
    const before = this.#state.stored;
    if (plan.kind === 'rename' && before && before.id === '')
      throw new SessionUsageError(
        "cycleId() would lock the visitor out: their browser can't learn the new id. Use flush() to end the session.",
      );
    const { backend, cookie } = this.services;
    const committed = await this.#following(() => backend.commit(this.#state, plan, cookie.placeFor(true)));
    this.#tellOf(committed, 'proof' in plan && plan.proof !== undefined);
    if (committed.done === 'ended') this.#startAnew();
  }

  /** Does something to the stored session, again where a request gave it a new id meanwhile. */
  async #following<T>(work: (stored: StoredIdentity) => T): Promise<Awaited<T>> {
    for (let tries = 1; ; tries++) {
      try {
        return await work(this.#state.stored as StoredIdentity);
      } catch (error) {
        if (!hasCode(error, 'SESSION_ROTATED') || tries === MAX_TRIES) throw error;
        if (!(await this.#follow())) throw error;
      }
    }
  }

  /** @returns whether a session that was found by its user lives, under whatever id: it is written there from now on */
  async #follow(): Promise<boolean> {
    const { stored, ownerId, handle } = this.#state;
    if (stored?.id !== '' || ownerId === undefined) return false;
    const found = await this.services.backend.openOf?.(ownerId, handle);
    if (!found?.stored) return false;
    // What was loaded stays the base: what changed since then is none of our changes.
    this.#state.stored = { ...stored, id: found.stored.id, key: found.stored.key };
    return true;
  }

  #tellOf({ done, ended }: Committed, isProved: boolean): void {
    this.#ended(ended);
    const { stored } = this.#state;
    if (!stored || done === 'ended' || done === 'nothing') return;
    const { events } = this.services;
    events.emit(done, subjectOf(stored.record));
    if (isProved) events.emit('authenticated', subjectOf(stored.record));
  }

  #ended(sessions: readonly SessionRecord[]): void {
    for (const record of sessions)
      this.services.events.emit('ended', { ...subjectOf(record), reason: 'flushed' });
  }

  #startAnew(): void {
    this.#use(this.services.backend.fresh());
  }

  #use(state: SessionState): void {
    state.visit = 'nobody';
    state.uses = 1;
    this.#state = state;
  }

  /** One thing at a time, as it was asked for. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
