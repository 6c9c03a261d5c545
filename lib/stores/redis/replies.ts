import { RECORD_FORMAT } from '../../core/record.js';
import { SessionFormatException } from '../../errors.js';
import { readMeta } from './session-hash.js';

/** Scripts answer 1, 0 or something else; a client may give numbers as texts. */
export function isYes(answer: unknown): boolean {
  return answer === 1 || answer === '1';
}

export function isNo(answer: unknown): boolean {
  return answer === 0 || answer === '0';
}

export function newerFormat(meta: string | null | undefined): Error {
  const record = readMeta(meta)?.record;
  return new SessionFormatException(record?.handle ?? '', record?.format ?? RECORD_FORMAT + 1);
}

/** HGETALL's reply, in the shape that the client and the protocol's version give it. */
export function fieldMap(reply: unknown): Map<string, string> {
  if (!Array.isArray(reply)) return new Map(Object.entries(reply as Record<string, string>));
  const fields = new Map<string, string>();
  for (let i = 0; i < reply.length; i += 2) fields.set(String(reply[i]), String(reply[i + 1]));
  return fields;
}
