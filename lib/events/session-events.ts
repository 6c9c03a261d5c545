import { Injectable, Logger } from '@nestjs/common';
import type { StoreOperation } from '../errors.js';

/** What can be listened for. Payloads hold handles, never an id, a key or a value. */
export interface SessionEventMap {
  /** A request's changes went nowhere, because its session ended or got a new id meanwhile. */
  interrupted: { readonly handle: string };
  /** A request's cookies name several living sessions; none of them was believed. */
  ambiguous: { readonly handles: readonly string[] };
  /** Stored data could not be read; the session goes on without it. */
  corrupt: { readonly handle: string };
  /** A record of a newer release was met and left alone. */
  newerFormat: { readonly handle: string; readonly format: number };
  /** The store failed or did not answer in time. */
  storeFailed: { readonly operation: StoreOperation };
  /** A response ended with changes that nobody saved. */
  unsaved: { readonly handle: string };
}

export type SessionEventName = keyof SessionEventMap;
export type SessionEventListener<E extends SessionEventName> = (event: SessionEventMap[E]) => unknown;

/** So many topics are remembered as warned of; then it begins anew, so that memory stays bounded. */
const MAX_TOPICS = 1_000;

/**
 * What happens to sessions, for monitoring. Listeners are isolated: one that throws or rejects changes nothing for the
 * request, and is warned of once.
 *
 * @example
 * constructor(events: SessionEvents) { events.on('ambiguous', ({ handles }) => alert(handles)); }
 */
@Injectable()
export class SessionEvents {
  readonly #listeners = new Map<SessionEventName, Set<SessionEventListener<never>>>();
  readonly #logger = new Logger('Session');
  readonly #warned = new Set<unknown>();

  /** @returns a function that ends the subscription */
  on<E extends SessionEventName>(name: E, listener: SessionEventListener<E>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  emit<E extends SessionEventName>(name: E, event: SessionEventMap[E]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        const result = (listener as SessionEventListener<E>)(event);
        if (result instanceof Promise) result.catch(() => this.#failed(name, listener));
      } catch {
        this.#failed(name, listener);
      }
    }
  }

  /** Warns once for each `topic`: of a mistake that every request would repeat. */
  warnOnce(topic: unknown, message: string): void {
    if (this.#warned.has(topic)) return;
    if (this.#warned.size >= MAX_TOPICS) this.#warned.clear();
    this.#warned.add(topic);
    this.#logger.warn(message);
  }

  warn(message: string): void {
    this.#logger.warn(message);
  }

  debug(message: string): void {
    this.#logger.debug(message);
  }

  error(message: string): void {
    this.#logger.error(message);
  }

  // The listener's error is not logged: what it took from the session may stand in its message.
  #failed(name: SessionEventName, listener: unknown): void {
    this.warnOnce(listener, `A listener of the session event "${name}" failed; it is called on.`);
  }
}
