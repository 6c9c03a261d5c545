import { inspect } from 'node:util';
import { HttpException } from '@nestjs/common';
import {
  SessionFormatException,
  SessionHeadersSentError,
  SessionInterruptedException,
  SessionNotLoadedError,
  SessionOptionsError,
  SessionRotatedException,
  SessionStoreException,
  SessionStoreTimeoutError,
  SessionTooLargeError,
  SessionUsageError,
  SessionValueError,
} from 'nest-session';

const causeOf = (cause: unknown) =>
  new SessionStoreException('save', cause).cause as Error & { code?: unknown };

describe('The errors', () => {
  it.each<[HttpException & { code: string }, number, string]>([
    [new SessionStoreException('load'), 503, 'SESSION_STORE_UNAVAILABLE'],
    [new SessionFormatException('handle', 2), 503, 'SESSION_FORMAT_NEWER'],
    [new SessionInterruptedException(), 409, 'SESSION_INTERRUPTED'],
    [new SessionRotatedException(), 409, 'SESSION_ROTATED'],
  ])('%p has a status and a code', (error, status, code) => {
    expect(error).toBeInstanceOf(HttpException);
    expect([error.getStatus(), error.code]).toEqual([status, code]);
  });

  it.each<[Error & { code: string }, string]>([
    [new SessionValueError('a', 'is', 'b'), 'SESSION_VALUE'],
    [new SessionTooLargeError(2, 1, []), 'SESSION_TOO_LARGE'],
    [new SessionNotLoadedError(), 'SESSION_NOT_LOADED'],
    [new SessionHeadersSentError(), 'SESSION_HEADERS_SENT'],
    [new SessionUsageError('x'), 'SESSION_USAGE'],
    [new SessionOptionsError(['x']), 'SESSION_OPTIONS'],
    [new SessionStoreTimeoutError(5), 'SESSION_STORE_TIMEOUT'],
  ])('%p has a name and a code, and is no HTTP error', (error, code) => {
    expect(error).not.toBeInstanceOf(HttpException);
    expect([error.name, error.code]).toEqual([error.constructor.name, code]);
  });

  it.each([new SessionInterruptedException(), new SessionRotatedException()])(
    'the client is told the code (%p)',
    (error) => {
      expect(error.getResponse()).toEqual({
        ...{ statusCode: 409, error: 'Conflict', message: error.message, code: error.code },
      });
    },
  );

  it("the response to a store's failure names nothing inside", () => {
    const error = new SessionStoreException('save', new Error('connect to db.internal'));
    expect(JSON.stringify(error.getResponse())).not.toMatch(/internal|save|cause/);
  });
});

describe("The cause of a store's failure", () => {
  const TOKEN = 'abcdefghij0123456789-_';

  it.each<[string, string]>([
    [`Duplicate entry 'hunter2' for key "secret"`, 'Duplicate entry … for key …'],
    ['near `hunter2`', 'near …'],
    ['Key (key)=(hunter2) exists', 'Key …=… exists'],
    ['bad {"a":\n"hunter2"}', 'bad …'],
    ['bad [1,\n2]', 'bad …'],
    [`no ${TOKEN} here`, 'no … here'],
    ['connect ECONNREFUSED 127.0.0.1:5432', 'connect ECONNREFUSED 127.0.0.1:5432'],
    ['word '.repeat(100), 'word '.repeat(60)],
  ])('%j is %j', (message, expected) => {
    expect(causeOf(new Error(message)).message).toBe(expected);
  });

  it('keeps name, code and frames, and no other property', () => {
    class QueryFailedError extends Error {
      override name = 'QueryFailedError';
      code = '23505';
      parameters = ['hunter2'];
      query = 'INSERT hunter2';
      driverError = new Error('hunter2');
    }
    const cause = causeOf(new QueryFailedError("for 'hunter2'"));

    expect([cause.name, cause.code, cause.message]).toEqual(['QueryFailedError', '23505', 'for …']);
    expect(cause.stack).toMatch(/^QueryFailedError: for …\n\s+at .*errors\.spec\.ts/);
    expect(inspect(cause, { depth: 10, showHidden: true })).not.toContain('hunter2');
  });

  it('takes no line of a message for a frame', () => {
    const cause = causeOf(new Error(`failed\n    at 'hunter2' (/secret.js:1:2)`));
    expect(inspect(cause)).not.toMatch(/hunter2|secret/);
  });

  it.each<[unknown, string]>([
    ["a text with 'hunter2'", 'a text with …'],
    [{ message: "from 'hunter2'" }, 'from …'],
    [null, ''],
    [7, ''],
    [{ message: 7, stack: 7, name: 7, code: {} }, ''],
  ])('may be whatever was thrown: %j', (thrown, message) => {
    const cause = causeOf(thrown);
    expect(cause).toBeInstanceOf(Error);
    expect([cause.message, 'code' in cause]).toEqual([message, false]);
  });

  it('is kept as it is when nobody answered in time, or there is none', () => {
    const timeout = new SessionStoreTimeoutError(5);
    expect(causeOf(timeout)).toBe(timeout);
    expect(causeOf(undefined)).toBeUndefined();
  });
});
