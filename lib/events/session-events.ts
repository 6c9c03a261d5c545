import { type Channel, channel } from 'node:diagnostics_channel';
import { Injectable, Logger } from '@nestjs/common';
import type { StoreOperation } from '../errors.js';
import { withoutControls } from '../redacted-error.js';
import { RepeatedLines } from './repeated-lines.js';

/** What every event about one session says: its public name, and whose it is. */
export interface SessionEvent {
  readonly handle: string;
  /** undefined for an anonymous visitor */
  readonly userId?: string;
}

/** Of whom an event tells. */
export function subjectOf({ handle, userId }: SessionEvent): SessionEvent {
  return userId === undefined ? { handle } : { handle, userId };
}

/**
 * Why a session ended: `logout` · `flushed` by the application · `revoked`, also because its user is gone or has another
 * password · `replaced` by a login as somebody else · `limit`, too many of one user · `idle`, `absolute`: its time was over.
 *
 * Of a session whose time is over a request tells that meets it, where the store notices: what nobody comes back for is
 * cleared without an event, and what leaves by itself, as in Redis, is never met.
 */
export type EndReason = 'logout' | 'flushed' | 'revoked' | 'replaced' | 'limit' | 'idle' | 'absolute';

/** Why a request was turned away: the code of the exception, or `cookie`: one under our name that is not ours. */
export type RejectReason =
  | 'cookie'
  | 'NOT_AUTHENTICATED'
  | 'SESSION_EXPIRED'
  | 'SECOND_FACTOR_REQUIRED'
  | 'REAUTHENTICATION_REQUIRED'
  | 'SESSION_LIMIT_REACHED'
  | 'SESSION_CSRF';

/** What can be listened for. Payloads hold handles, never an id, a key or a value. */
export interface SessionEventMap {
  /** A visitor has a session in the store now. */
  created: SessionEvent;
  loaded: SessionEvent;
  saved: SessionEvent;
  /** Its idle deadline was moved, and nothing else. */
  touched: SessionEvent;
  /** It has a new id: a login, or `cycleId()`. */
  rotated: SessionEvent;
  /** Somebody has logged in, or proved again who they are. */
  authenticated: SessionEvent;
  loggedOut: SessionEvent;
  /** `handle` is missing where all sessions of a user ended at once. */
  ended: Partial<SessionEvent> & { readonly reason: EndReason };
  /** A request's changes went nowhere, because its session ended or got a new id meanwhile. */
  interrupted: SessionEvent;
  /** A request's cookies name several living sessions; none of them was believed. */
  ambiguous: { readonly handles: readonly string[] };
  rejected: Partial<SessionEvent> & { readonly reason: RejectReason };
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

/** A listener that promises something has so long before it is warned of. */
const SLOW_LISTENER_MS = 30_000;

/** So many topics are remembered as warned of; then it begins anew, so that memory stays bounded. */
const MAX_TOPICS = 1_000;

/**
 * What happens to sessions, for monitoring. Listeners are isolated: one that throws, rejects or hangs changes nothing for
 * the request, is not waited for, and is warned of once.
 *
 * Each event goes to the channel `nest-session:<name>` of `node:diagnostics_channel` too, for who has no injector.
 *
 * @example
 * constructor(events: SessionEvents) { events.on('ambiguous', ({ handles }) => alert(handles)); }
 */
@Injectable()
export class SessionEvents {
  readonly #listeners = new Map<SessionEventName, Set<SessionEventListener<never>>>();
  readonly #channels = new Map<SessionEventName, Channel>();
  readonly #logger = new Logger('Session');
  readonly #warned = new Set<unknown>();
  readonly #repeated = new RepeatedLines();
  /** Whether each event is a line of the log, at debug level (option `debug`). */
  isDebugging = false;

  /** @returns a function that ends the subscription */
  on<E extends SessionEventName>(name: E, listener: SessionEventListener<E>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Whether anybody listens: what happens to every request is told only then. */
  isHeard(name: SessionEventName): boolean {
    return (
      this.isDebugging || (this.#listeners.get(name)?.size ?? 0) > 0 || this.#channelOf(name).hasSubscribers
    );
  }

  emit<E extends SessionEventName>(name: E, event: SessionEventMap[E]): void {
    if (this.isDebugging) this.#logger.debug(lineOf(name, event));
    for (const listener of this.#listeners.get(name) ?? []) this.#tell(name, event, listener);
    const toChannel = this.#channelOf(name);
    if (toChannel.hasSubscribers) toChannel.publish(event); // Node isolates its subscribers
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

  /** Warns of what many requests repeat: one line for each `kind` and hour, then with how often it happened meanwhile. */
  warnSometimes(kind: string, message: string): void {
    this.#repeated.tell(kind, 3_600_000, (count) => this.warn(message + count));
  }

  /** As {@link warnSometimes}, for an outage: one line for each `kind` and half minute. */
  errorSometimes(kind: string, message: string): void {
    this.#repeated.tell(kind, 30_000, (count) => this.error(message + count));
  }

  debug(message: string): void {
    this.#logger.debug(message);
  }

  error(message: string): void {
    this.#logger.error(message);
  }

  #tell<E extends SessionEventName>(
    name: E,
    event: SessionEventMap[E],
    listener: SessionEventListener<never>,
  ): void {
    try {
      const result = (listener as SessionEventListener<E>)(event);
      if (result instanceof Promise) this.#watch(name, listener, result);
    } catch {
      this.#failed(name, listener);
    }
  }

  #watch(name: SessionEventName, listener: unknown, result: Promise<unknown>): void {
    const slow = `A listener of the session event "${name}" has not come to an end in ${SLOW_LISTENER_MS / 1000} s.`;
    const timer = setTimeout(() => this.warnOnce(listener, slow), SLOW_LISTENER_MS);
    timer.unref();
    result
      .catch(() => this.#failed(name, listener))
      .finally(() => clearTimeout(timer))
      .catch(() => undefined);
  }

  #channelOf(name: SessionEventName): Channel {
    const known = this.#channels.get(name);
    if (known) return known;
    const made = channel(`nest-session:${name}`);
    this.#channels.set(name, made);
    return made;
  }

  // The listener's error is not logged: what it took from the session may stand in its message.
  #failed(name: SessionEventName, listener: unknown): void {
    this.warnOnce(listener, `A listener of the session event "${name}" failed; it is called on.`);
  }
}

/** `ended 0192… (reason logout, userId 7)` */
function lineOf(name: SessionEventName, event: object): string {
  const { handle, handles, ...rest } = event as Record<string, string | number | readonly string[]>;
  const details = Object.entries(rest).map(([key, value]) => `${key} ${String(value)}`);
  const subjects = [handle ?? [], handles ?? []].flat();
  const parts = [name, ...subjects, ...(details.length > 0 ? [`(${details.join(', ')})`] : [])];
  return withoutControls(parts.join(' ')); // a user's id may be what a visitor typed
}
