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
    [`Duplicate entry 'hunter2' for key "secret"`, 'Duplicate entry …'],
    ['near `hunter2`', 'near …'],
    ['Key (key)=(hunter2) exists', 'Key … exists'],
    ['bad {"a":\n"hunter2"}', 'bad …'],
    ['bad [1,\n2]', 'bad …'],
    [`no ${TOKEN} here`, 'no … here'],
    ['connect ECONNREFUSED 127.0.0.1:5432', 'connect ECONNREFUSED 127.0.0.1:5432'],
    ['word '.repeat(100), 'word '.repeat(60)],
    ['invalid input syntax for type integer: "x"y hunter2 "z"', 'invalid input syntax for type integer: …'],
    [
      "Incorrect integer value: 'x'y hunter2 'z' for column `db`.`session`.`age` at row 1",
      'Incorrect integer value: … for column `db`.`session`.`age` at row 1',
    ],
    ["Data too long for column 'age' at row 1", "Data too long for column 'age' at row 1"],
    ["Bad value 'x', cut off: hunter2".padEnd(300, ' hunter2'), 'Bad value …'],
    ['Unterminated "hunter2', 'Unterminated …'],
    ['Closed `x` and opened (hunter2', 'Closed … and opened …'],
    [
      "Duplicate entry 'x' for key 'hunter2' for key 'session.PRIMARY'",
      "Duplicate entry … for key 'session.PRIMARY'",
    ],
    ["Truncated incorrect INTEGER value: 'x' for key 'hunter2'", 'Truncated incorrect INTEGER value: …'],
    [
      'CONSTRAINT `session.data` failed for `web`.`session`',
      'CONSTRAINT `session.data` failed for `web`.`session`',
    ],
    [`relation "${'Zx9_'.repeat(11)}" does not exist`, 'relation … does not exist'],
    [`Duplicate entry 'x' for key '${'ab12'.repeat(16)}'`, 'Duplicate entry …'],
    ['one\r\ntwo\u001b[31m\u202ethree\u2028four', 'one two …'],
    [
      "READONLY You can't write against a read only replica.",
      "READONLY You can't write against a read only replica.",
    ],
    [
      "NOPERM User web has no permissions to run the 'eval' command",
      "NOPERM User web has no permissions to run the 'eval' command",
    ],
    ["ERR unknown command 'hset', with args beginning with: 'hunter2' ", "ERR unknown command 'hset'"],
    ["Table 'web.session' doesn't exist", "Table 'web.session' doesn't exist"],
    ['no such table: session', 'no such table: session'],
    ['relation "session" does not exist', 'relation "session" does not exist'],
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

  it('tells the table and the migration that makes it, where TypeORM misses it in whatever language', () => {
    const driverError = Object.assign(new Error('Relation »session« existiert nicht'), { code: '42P01' });
    const cause = causeOf(Object.assign(new Error(driverError.message), { driverError }));
    expect(cause.message).toMatch(
      /^Relation »session« existiert nicht · the migration CreateSessionTable1764000000000 /,
    );
    expect(causeOf(cause)).toBe(cause); // through here twice
  });

  it('tells the table and the column that PostgreSQL names, and nothing that is no name', () => {
    const place = { table: 'session', column: 'age', constraint: 'x" hunter2' };
    expect(causeOf(Object.assign(new Error('null value'), place)).message).toBe(
      'null value · table session · column age',
    );
  });

  it('believes no code and no name that are texts', () => {
    const cause = causeOf(
      Object.assign(new Error('failed'), { code: 'a\nhunter2', name: 'hunter2\u001b[1m' }),
    );
    expect([cause.name, cause.code]).toEqual(['Error', undefined]);

    const key = 'ab12'.repeat(16);
    const keyed = causeOf(Object.assign(new Error('failed'), { code: key, name: key }));
    expect([keyed.name, keyed.code]).toEqual(['Error', undefined]);
  });

  it.each<[string, object]>([
    ['PostgreSQL', { code: 'P0001', table: 'audit' }],
    ['PostgreSQL, under a code of its own', { code: '23505', routine: 'exec_stmt_raise', table: 'audit' }],
    ['MariaDB', { code: 'ER_SIGNAL_EXCEPTION', table: 'audit' }],
    ['SQLite', { code: 'SQLITE_CONSTRAINT_TRIGGER', table: 'audit' }],
  ])('repeats no word of a trigger, which may have a row in it (%s)', (_, properties) => {
    const driverError = Object.assign(new Error('hunter2 is not allowed'), properties);
    const wrapped = Object.assign(new Error(driverError.message), { driverError });
    expect(causeOf(driverError).message).toBe(
      'a trigger or a function of the database refused it · table audit',
    );
    expect(inspect(causeOf(wrapped), { showHidden: true })).not.toContain('hunter2');
    expect(causeOf(wrapped).code).toBe((properties as { code: string }).code);
  });

  it('takes no frames of a stack whose message was another one', () => {
    const error = new Error("'x\n    at hunter2 (/x.js:1:2)");
    error.message = 'changed';
    expect(causeOf(error).stack).not.toContain('hunter2');
  });

  it('takes no line of a message for a frame', () => {
    const cause = causeOf(new Error(`failed\n    at 'hunter2' (/secret.js:1:2)`));
    expect(inspect(cause)).not.toMatch(/hunter2|secret\.js/);
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
