import type { IncomingMessage, ServerResponse } from 'node:http';
import { ownBackendOf } from '../backends/session-backend.js';
import { CsrfTokens } from '../crypto/csrf-tokens.js';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { StoredBackend } from '../backends/stored.backend.js';
import type { SessionClock } from '../core/clock.js';
import type { ResolvedSessionOptions } from '../options/resolve-options.js';
import { SessionUsageError } from '../errors.js';
import { type EndReason, SessionEvents, subjectOf } from '../events/session-events.js';
import type { SessionRecord } from '../core/record.js';
import type { SessionStore } from '../stores/session-store.js';
import {
  RESOLVED_SESSION_OPTIONS,
  SESSION_CLOCK,
  SESSION_COOKIE_CODEC,
  SESSION_STORE,
  SESSION_USER_SOURCE,
} from '../tokens.js';
import type { SessionCookieCodec } from './cookie-codec.js';
import {
  type Exchange,
  RequestSession,
  type RequestSessionServices,
  type UserSource,
} from './request-session.js';
import { SessionCookie } from './session-cookie.js';

/**
/**
 * The sessions of raw requests, whoever asked first: one for each application that a request comes by, as one may be mounted
 * in another. Both builds of the package look here. Beside the requests and not in them, so that who prints a request does
 * not print what its session holds.
 */
const REQUEST_SESSIONS: unique symbol = Symbol.for('nest-session.RequestSessions.byRequest') as never;
const shared = globalThis as { [REQUEST_SESSIONS]?: WeakMap<object, RequestSession[]> };
const byRequest = (shared[REQUEST_SESSIONS] ??= new WeakMap());

/** Where a raw request of Fastify keeps its reply: Node's request does not know its response. */
const REPLY: unique symbol = Symbol.for('nest-session.FastifyReply') as never;

/** The part of Fastify's reply that a session needs. */
export interface ReplyLike {
  readonly raw: ServerResponse;
  readonly request: { readonly protocol: string; readonly ip: string };
}

export interface RawRequest extends IncomingMessage {
  [REPLY]?: ReplyLike;
  /** Express */
  readonly res?: ServerResponse;
  readonly secure?: boolean;
  /** Set by Fastify's middleware engine. */
  readonly protocol?: string;
  readonly originalUrl?: string;
  /** Express */
  readonly ip?: string;
}

/** Finds or opens the session of a request: one for each raw request. */
@Injectable()
export class RequestSessions {
  /** For the framework: sessions outside requests share them. */
  readonly services: RequestSessionServices;

  constructor(
    @Inject(SESSION_STORE) store: SessionStore,
    @Inject(RESOLVED_SESSION_OPTIONS) options: ResolvedSessionOptions,
    @Inject(SESSION_CLOCK) clock: SessionClock,
    @Inject(SESSION_COOKIE_CODEC) codec: SessionCookieCodec,
    @Inject(SessionEvents) events: SessionEvents,
    @Inject(CsrfTokens) csrfTokens: CsrfTokens,
    @Optional() @Inject(SESSION_USER_SOURCE) users?: UserSource,
  ) {
    store.onExpired = (record) => events.emit('ended', { ...subjectOf(record), reason: reasonOf(record) });
    const backend =
      ownBackendOf(store, { options, clock, events }) ??
      new StoredBackend(store, options, clock, events, codec);
    const cookie = new SessionCookie(options.cookie, backend);
    const { rotationGraceMs, saveEveryRequest, alwaysHttps } = options;
    events.isDebugging ||= options.debug;
    const rest = { rotationGraceMs, saveEveryRequest, alwaysHttps, users };
    this.services = { backend, cookie, clock, events, csrfTokens, ...rest };
  }

  /** This application's session of a raw request, if anything has asked for it. */
  peek(raw: RawRequest): RequestSession | undefined {
    return byRequest.get(raw)?.find(({ services }) => services === this.services);
  }

  /** This application's session of a raw request; costs no more than an object until it is loaded. */
  of(raw: RawRequest, response?: ServerResponse): RequestSession {
    return this.peek(raw) ?? this.#open(raw, response);
  }

  #open(raw: RawRequest, response: ServerResponse | undefined): RequestSession {
    const opened = new RequestSession(exchangeOf(raw, response), this.services);
    const known = byRequest.get(raw);
    if (known) known.push(opened);
    else byRequest.set(raw, [opened]);
    return opened;
  }
}

/**
 * What is behind `request.session` of a platform's request, which is the application's that the request is in; also when
 * the other build of the package made it.
 */
export function requestSessionOf(
  request: { readonly raw?: RawRequest; readonly session?: unknown } & RawRequest,
): RequestSession | undefined {
  const { session } = request;
  return byRequest.get(request.raw ?? request)?.find((each) => each.session === session);
}

/** Lets a raw request of Fastify find its response. */
export function rememberReply(raw: RawRequest, reply: ReplyLike): void {
  raw[REPLY] = reply;
}

/** Why the time of a session is over. */
function reasonOf({ expiresAt, absoluteExpiresAt }: SessionRecord): EndReason {
  return expiresAt >= absoluteExpiresAt ? 'absolute' : 'idle';
}

function exchangeOf(raw: RawRequest, given: ServerResponse | undefined): Exchange {
  const reply = raw[REPLY];
  const response = given ?? reply?.raw ?? raw.res;
  if (!response)
    throw new SessionUsageError('This request has no response: take the session from the HTTP request.');
  const isSecure = () => raw.secure ?? (reply?.request.protocol ?? raw.protocol) === 'https';
  const ip = () => reply?.request.ip ?? raw.ip ?? raw.socket.remoteAddress;
  return { request: raw, response, isSecure, ip };
}
