import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { pause } from '../core/pause.js';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import type { ResolvedSweepOptions } from '../options/resolve-sweep.js';
import { SessionStoreException } from '../errors.js';
import { SessionEvents } from '../events/session-events.js';
import { lineOfError } from '../redacted-error.js';
import type { SessionStore, SessionStoreUnsupportedError } from '../stores/session-store.js';
import { RESOLVED_SESSION_OPTIONS, SESSION_STORE } from '../tokens.js';

/** So long a shutdown waits for the batch in hand. */
const STOPS_WITHIN_MS = 1_000;

/** Two sweeps are `every` apart, give or take this share of it: processes that started together drift apart. */
const JITTER = 0.1;

/**
 * Clears expired sessions in the background, for stores whose sessions do not leave by themselves. Never part of a
 * request; in every process, for many that sweep are harmless and one that was meant to is easily forgotten.
 */
@Injectable()
export class SessionSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> = Promise.resolve();
  #hasWarned = false;

  constructor(
    @Inject(SESSION_STORE) private readonly store: SessionStore,
    @Inject(RESOLVED_SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
    @Inject(SessionEvents) private readonly events: SessionEvents,
  ) {}

  onApplicationBootstrap(): void {
    const { sweep } = this.options;
    if (!sweep || this.store.expiresByItself) return;
    this.#sweepIn(sweep.everyMs * Math.random(), sweep);
  }

  /** The first of the hooks at a shutdown: when a later one closes connections, no batch is under way. */
  async onModuleDestroy(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    const stopped = new AbortController();
    await Promise.race([this.#running, pause(STOPS_WITHIN_MS, { signal: stopped.signal })]);
    stopped.abort();
  }

  #sweepIn(milliseconds: number, sweep: ResolvedSweepOptions): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#sweepAndGoOn(sweep);
    }, milliseconds);
    this.#timer.unref();
  }

  async #sweepAndGoOn(sweep: ResolvedSweepOptions): Promise<void> {
    const canSweep = await this.#sweep(sweep);
    if (!canSweep || this.#stop.signal.aborted) return;
    this.#sweepIn(sweep.everyMs * (1 + JITTER * (2 * Math.random() - 1)), sweep);
  }

  /** @returns false when the store can't */
  async #sweep({ batchSize, pauseMs }: ResolvedSweepOptions): Promise<boolean> {
    const { signal } = this.#stop;
    const onProgress = () => pause(pauseMs, { signal, keepsAlive: false });
    try {
      const deleted = await this.store.deleteExpired({ batchSize, signal, onProgress });
      this.events.debug(`The sweep deleted ${deleted} expired sessions.`);
      this.#hasWarned = false;
      return true;
    } catch (error) {
      if (!isUnsupported(error)) this.#failed(error);
      else this.events.debug('The store has no deleteExpired(): expired sessions are not swept.');
      return !isUnsupported(error);
    }
  }

  /** Warns once for as long as it goes on. */
  #failed(error: unknown): void {
    if (this.#stop.signal.aborted) return; // connections may be closed already
    this.events.emit('storeFailed', { operation: 'deleteExpired' });
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { cause } = new SessionStoreException('deleteExpired', error); // without what may be a key or a value
    this.events.warn(`The sweep of expired sessions failed, and will be tried again: ${lineOfError(cause)}`);
  }
}

function isUnsupported(error: unknown): boolean {
  const { code } = Object(error) as Partial<SessionStoreUnsupportedError>;
  return code === 'SESSION_STORE_UNSUPPORTED';
}
