import { messageOf, startError, storeError, withoutCredentials } from '../../../lib/cli/described-error.js';
import { CommandError, EXIT } from '../../../lib/cli/exit-codes.js';
import { SessionFormatException, SessionOptionsError } from '../../../lib/errors.js';
import { SessionStoreUnsupportedError } from '../../../lib/stores/session-store.js';

const KEY = 'ab12'.repeat(16);

describe('an error of the start', () => {
  it('keeps what helps, and loses passwords, ids and keys', () => {
    const { exitCode, message } = startError(
      'It did not start',
      new Error(`no mysql://me:pw@db/shop for ${KEY}`),
    );
    expect([exitCode, message]).toEqual([EXIT.failed, 'It did not start: no mysql://…@db/shop for …']);
    expect(withoutCredentials('postgres://p@ss:w@db/x, postgres://u:p@e')).toBe(
      'postgres://…@db/x, postgres://…@e',
    );
    expect(
      withoutCredentials("Nest can't resolve dependencies of AppServiceOfAVeryLongNameThatSomebodyWrote"),
    ).toContain('AppServiceOfAVeryLongNameThatSomebodyWrote');
  });

  it('says wrong options as they are', () => {
    const problem = 'secret is missing: write `secret: process.env.SESSION_SECRET`';
    expect(startError('It did not start', new SessionOptionsError([problem])).message).toContain(problem);
  });
});

describe('an error of the store', () => {
  it('is told as everywhere, without what a driver puts into it', () => {
    const driver = Object.assign(new Error(`Duplicate entry '${KEY}'`), { parameters: [KEY] });
    const error = storeError(driver);
    expect([error.exitCode, error.message]).toEqual([
      EXIT.failed,
      'The session store failed: Error: Duplicate entry …',
    ]);
    expect(JSON.stringify(error.cause, Object.getOwnPropertyNames(error.cause))).not.toContain(KEY);
  });

  it('has a code of its own when the store lacks the method', () => {
    const error = storeError(new SessionStoreUnsupportedError('MyStore', 'count'));
    expect([error.exitCode, error.message]).toEqual([
      EXIT.unsupported,
      expect.stringMatching(/^MyStore has no count/),
    ]);
  });

  it('says what to do about a session of a newer release', () => {
    expect(storeError(new SessionFormatException('handle', 2)).message).toMatch(
      /newer .* \(format 2\): update/,
    );
  });

  it('stays what a command made of it', () => {
    const error = new CommandError(EXIT.notFound, 'not there');
    expect(storeError(error)).toBe(error);
  });
});

it('finds a message where an error has none of its own', () => {
  const refused = new AggregateError([
    new Error('connect ECONNREFUSED ::1:5432'),
    new Error('127.0.0.1 too'),
  ]);
  expect(messageOf(refused)).toBe('connect ECONNREFUSED ::1:5432; 127.0.0.1 too');
  expect(messageOf(Object.assign(new Error(''), { code: 'ECONNRESET' }))).toBe('ECONNRESET');
  expect(messageOf('a text')).toBe('a text');
  expect(messageOf(undefined)).toBe('undefined');
});
