import { type FindOperator, Raw } from 'typeorm';
import { escapedText, readText, writeText } from '../stored-text.js';
import { isMySql } from './entity-metadata.js';

/** Characters, as the databases count them. */
const MAX_LENGTH = 255;

/**
 * A user id as its column keeps it. PostgreSQL takes no NUL, and no database half a character: such an id is written as JSON.
 *
 * @throws RangeError when it does not fit: MySQL without a strict mode would cut it, and give the session to another user
 */
export function toUserColumn(userId: string): string {
  const text = userId.includes('\0') ? escapedText(userId) : writeText(userId);
  if ([...text].length > MAX_LENGTH)
    throw new RangeError(
      `A user id has ${[...text].length} characters: the table keeps ${MAX_LENGTH} of them at most.`,
    );
  return text;
}

/** A text that looks encoded, and can't be read, is taken as it stands: bad data is no crash (law 14). */
export function fromUserColumn(text: string): string {
  return readText(text) ?? text;
}

/**
 * A condition for rows of exactly this user. MySQL and MariaDB take `ada` and `ada ` for the same, under any collation
 * that both know.
 *
 * @returns undefined when no row can have such an id
 */
export function sameUser(userId: string, type: string): string | FindOperator<string> | undefined {
  const text = userColumnOf(userId);
  if (text === undefined || !isMySql(type)) return text;
  return Raw((column) => `${column} = :userId AND OCTET_LENGTH(${column}) = :userIdBytes`, {
    userId: text,
    userIdBytes: Buffer.byteLength(text),
  });
}

function userColumnOf(userId: string): string | undefined {
  try {
    return toUserColumn(userId);
  } catch {
    return undefined;
  }
}
