import { type FindOperator, Raw } from 'typeorm';
import { isMySql } from './entity-metadata.js';

/** Characters, as the databases count them. */
const MAX_LENGTH = 255;

/** NUL, half of a surrogate pair, or what looks like an encoded id. */
const NOT_PLAIN = /\0|\p{Surrogate}|^\u0001/u;

/** Begins a text that stands for an id which no database keeps as it is. */
const ENCODED = '\u0001';

/**
 * A user id as its column keeps it. PostgreSQL takes no NUL, and no database half a character: such an id is written as JSON.
 *
 * @throws RangeError when it does not fit: MySQL without a strict mode would cut it, and give the session to another user
 */
export function toUserColumn(userId: string): string {
  const text = NOT_PLAIN.test(userId) ? ENCODED + JSON.stringify(userId) : userId;
  if ([...text].length > MAX_LENGTH)
    throw new RangeError(
      `A user id has ${[...text].length} characters: the table keeps ${MAX_LENGTH} of them at most.`,
    );
  return text;
}

export function fromUserColumn(text: string): string {
  return text.startsWith(ENCODED) ? (JSON.parse(text.slice(1)) as string) : text;
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
