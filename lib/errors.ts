import {
  ConflictException,
  ForbiddenException,
  NotFoundException,
  ServiceUnavailableException,
  UnauthorizedException,
} from '@nestjs/common';
import { withoutSecrets } from './redacted-error.js';

/** What was asked of a store when it failed. */
export type StoreOperation =
  | 'load'
  | 'create'
  | 'save'
  | 'touch'
  | 'rename'
  | 'delete'
  | 'atomic'
  | 'findByUser'
  | 'deleteByUser'
  | 'deleteExpired'
  | 'ping';

/**
 * The store could not be asked, failed, or did not answer within `storeTimeout`. The client sees a 503 that names
 * nothing inside; `cause` is the driver's error with everything taken out that may be a key or a value.
 */
export class SessionStoreException extends ServiceUnavailableException {
  readonly code = 'SESSION_STORE_UNAVAILABLE';

  constructor(
    readonly operation: StoreOperation,
    cause?: unknown,
  ) {
    const shown = cause instanceof SessionStoreTimeoutError ? cause : withoutSecrets(cause);
    super('The session is not available at the moment.', { cause: shown });
  }
}

/** The record was written by a newer release of nest-session than this one: it is left as it is. A 503. */
export class SessionFormatException extends ServiceUnavailableException {
  readonly code = 'SESSION_FORMAT_NEWER';

  constructor(
    readonly handle: string,
    readonly format: number,
  ) {
    super('The session is not available at the moment.');
  }
}

/** The session ended (logout, revocation, expiry) while the request ran, so that its changes went nowhere. A 409. */
export class SessionInterruptedException extends ConflictException {
  readonly code: string = 'SESSION_INTERRUPTED';

  constructor(message = 'The session ended while the request ran.') {
    super(bodyOf(409, 'Conflict', message, 'SESSION_INTERRUPTED'));
  }
}

/** The request came with an id that was just replaced: the browser has a newer cookie, repeat the request. A 409. */
export class SessionRotatedException extends ConflictException {
  readonly code = 'SESSION_ROTATED';

  constructor() {
    super(bodyOf(409, 'Conflict', 'The session has a new id: repeat the request.', 'SESSION_ROTATED'));
  }
}

/** Nobody is logged in, and nobody was. A 401. */
export class NotAuthenticatedException extends UnauthorizedException {
  readonly code = 'NOT_AUTHENTICATED';

  constructor(
    /** Where a page is sent instead, to log in; undefined for other requests. */
    readonly redirectTo?: string,
  ) {
    super(bodyOf(401, 'Unauthorized', 'Log in first.', 'NOT_AUTHENTICATED'));
  }
}

/** The request came with a session of ours that is no more: it expired, was revoked, or its user may not come in. A 401. */
export class SessionExpiredException extends UnauthorizedException {
  readonly code = 'SESSION_EXPIRED';

  /** @param redirectTo as in {@link NotAuthenticatedException} */
  constructor(readonly redirectTo?: string) {
    super(bodyOf(401, 'Unauthorized', 'The session has ended: log in again.', 'SESSION_EXPIRED'));
  }
}

/** The first factor was right, the second is outstanding: nobody is logged in yet. A 401. */
export class SecondFactorRequiredException extends UnauthorizedException {
  readonly code = 'SECOND_FACTOR_REQUIRED';

  /** @param redirectTo as in {@link NotAuthenticatedException} */
  constructor(readonly redirectTo?: string) {
    super(bodyOf(401, 'Unauthorized', 'A second factor is outstanding.', 'SECOND_FACTOR_REQUIRED'));
  }
}

/** The user is logged in, but not with as strong a proof as the route asks for. A 403, with the code of the 401. */
export class LevelRequiredException extends ForbiddenException {
  readonly code = 'SECOND_FACTOR_REQUIRED';

  constructor(
    /** The level that the route asks for. */
    readonly level: number,
    readonly redirectTo?: string,
  ) {
    super(bodyOf(403, 'Forbidden', 'This needs another factor.', 'SECOND_FACTOR_REQUIRED'));
  }
}

/** The user is logged in, but proved it too long ago for this route. A 403. */
export class ReauthenticationRequiredException extends ForbiddenException {
  readonly code = 'REAUTHENTICATION_REQUIRED';

  /** @param redirectTo as in {@link NotAuthenticatedException} */
  constructor(readonly redirectTo?: string) {
    super(bodyOf(403, 'Forbidden', 'This needs a recent login: confirm it.', 'REAUTHENTICATION_REQUIRED'));
  }
}

/** The user has as many sessions as `maxSessions` allows, and none was ended for this login. A 409. */
export class SessionLimitException extends ConflictException {
  readonly code = 'SESSION_LIMIT_REACHED';

  constructor(readonly limit: number) {
    super(
      bodyOf(
        409,
        'Conflict',
        'There are too many sessions: log out somewhere else.',
        'SESSION_LIMIT_REACHED',
      ),
    );
  }
}

/** The user has no such session (any more), or the handle is somebody else's: nobody learns which. A 404. */
export class SessionNotFoundException extends NotFoundException {
  readonly code = 'SESSION_NOT_FOUND';

  constructor() {
    super(bodyOf(404, 'Not Found', 'There is no such session.', 'SESSION_NOT_FOUND'));
  }
}

/**
 * Another origin's page made the browser send the request (a cross-site request forgery), or its token is not this
 * session's. A 403.
 */
export class SessionCsrfException extends ForbiddenException {
  readonly code = 'SESSION_CSRF';

  constructor(message = 'The request came from a page of another origin.') {
    super({ statusCode: 403, error: 'Forbidden', message, code: 'SESSION_CSRF' });
  }
}

/** A value would not come back from JSON as what it is. A mistake of the program, so a 500 when nobody catches it. */
export class SessionValueError extends TypeError {
  readonly code = 'SESSION_VALUE';

  constructor(
    /** Where it stands, such as `cart.items[2].when`. */
    readonly path: string,
    what: string,
    instead: string,
  ) {
    super(`${path} ${what}: ${instead}.`);
    this.name = 'SessionValueError';
  }
}

/** The session would be larger than `maxSize`, or than its cookies can be. Nothing was written. */
export class SessionTooLargeError extends RangeError {
  readonly code = 'SESSION_TOO_LARGE';

  constructor(
    size: number,
    maxSize: number,
    largest: readonly { name: string; size: number }[],
    summary = `The session has ${size} bytes, maxSize is ${maxSize}.`,
  ) {
    const names = largest.map(({ name, size }) => `${name} (${size} bytes)`).join(', ');
    super(`${summary} Largest values: ${names}.`);
    this.name = 'SessionTooLargeError';
  }
}

/** The session was used before anything loaded it. */
export class SessionNotLoadedError extends Error {
  readonly code = 'SESSION_NOT_LOADED';

  constructor() {
    super(
      'The session is not loaded yet. Take it with @Session() from nest-session, or `await request.session.load()` ' +
        "first, or set `load: 'eager'` in SessionModule.forRoot().",
    );
    this.name = 'SessionNotLoadedError';
  }
}

/** Something was done to the session that needs a Set-Cookie header, but the response has begun. */
export class SessionHeadersSentError extends Error {
  readonly code = 'SESSION_HEADERS_SENT';

  constructor() {
    super(
      'The response has begun, so that no cookie can be sent any more: start, cycle or end the session before the ' +
        'first byte.',
    );
    this.name = 'SessionHeadersSentError';
  }
}

/** The session is used in a way that it does not support; the message says what to write instead. */
export class SessionUsageError extends Error {
  readonly code = 'SESSION_USAGE';

  constructor(message: string) {
    super(message);
    this.name = 'SessionUsageError';
  }
}

/** The options of the module are wrong: all problems at once, each with what to write instead. */
export class SessionOptionsError extends Error {
  readonly code = 'SESSION_OPTIONS';

  constructor(readonly problems: readonly string[]) {
    super(`SessionModule can't start:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'SessionOptionsError';
    this.stack = `${this.name}: ${this.message}`; // the mistake stands in the options, not in our code
  }
}

/** A store did not answer within `storeTimeout`. */
export class SessionStoreTimeoutError extends Error {
  readonly code = 'SESSION_STORE_TIMEOUT';

  constructor(milliseconds: number) {
    super(`No answer within ${milliseconds} ms.`);
    this.name = 'SessionStoreTimeoutError';
  }
}

/** Whether an error is ours, told by its code: it may be of the other build of the package, where classes are others. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((Object(error) as { code?: string }).code ?? '');
}

/** What the client sees: Nest's usual body, and the code. */
function bodyOf(statusCode: number, error: string, message: string, code: string): object {
  return { statusCode, error, message, code };
}
