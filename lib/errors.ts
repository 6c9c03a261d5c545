import { ConflictException, ServiceUnavailableException } from '@nestjs/common';

/** What was asked of a store when it failed. */
export type StoreOperation =
  'load' | 'create' | 'save' | 'touch' | 'rename' | 'delete' | 'atomic' | 'deleteExpired';

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
    super('The session is not available at the moment.', { cause: withoutSecrets(cause) });
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
    super({ statusCode: 409, error: 'Conflict', message, code: 'SESSION_INTERRUPTED' });
  }
}

/** The request came with an id that was just replaced: the browser has a newer cookie, repeat the request. A 409. */
export class SessionRotatedException extends ConflictException {
  readonly code = 'SESSION_ROTATED';

  constructor() {
    const message = 'The session has a new id: repeat the request.';
    super({ statusCode: 409, error: 'Conflict', message, code: 'SESSION_ROTATED' });
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

/** The session would be larger than `maxSize`. Nothing was written. */
export class SessionTooLargeError extends RangeError {
  readonly code = 'SESSION_TOO_LARGE';

  constructor(size: number, maxSize: number, largest: readonly { name: string; size: number }[]) {
    const names = largest.map(({ name, size }) => `${name} (${size} bytes)`).join(', ');
    super(`The session has ${size} bytes, maxSize is ${maxSize}. Largest values: ${names}.`);
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

/**
 * A copy of a driver's error that is fit for a log. Drivers put parameters into properties (TypeORM's `parameters`)
 * and into messages (MySQL's "Duplicate entry '…'"), so that only name, code and a message without quoted texts and
 * without long tokens are kept.
 */
function withoutSecrets(cause: unknown): Error | undefined {
  if (cause === undefined || cause instanceof SessionStoreTimeoutError) return cause;
  const { name, code, message, stack } = Object(cause) as Record<keyof Error | 'code', unknown>;
  const text = [message, cause].find((each) => typeof each === 'string') ?? '';
  const safe = new Error(redact(text));
  safe.name = redact(typeof name === 'string' ? name : 'Error');
  // The stack begins with the message, whose lines may look like frames.
  const lines = (typeof stack === 'string' ? stack : '').replace(text, '').split('\n');
  const frames = lines.filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line));
  safe.stack = [`${safe.name}: ${safe.message}`, ...frames].join('\n');
  return typeof code === 'string' || typeof code === 'number' ? Object.assign(safe, { code }) : safe;
}

function redact(text: string): string {
  return text
    .replace(/'[^']*'|"[^"]*"|`[^`]*`|\([^)]*\)|\{[^}]*\}|\[[^\]]*\]/gs, '…')
    .replace(/[\w-]{20,}/g, '…')
    .slice(0, 300);
}
