import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { RECORD_FORMAT, type SessionRecord } from '../../core/record.js';

/** A session as it lies in its cookie. */
export interface SealedRecord {
  /** Changes with every cycle and every login, as the id of a stored session does; no cookie shows it. */
  readonly id: string;
  readonly record: SessionRecord;
}

/** A record of a newer release than this one: what it holds is not for us to read. */
export interface NewerRecord {
  readonly handle: string;
  readonly format: number;
}

const PLAIN = 0;
const DEFLATED = 1;

/** Beyond this nothing is compressed and nothing unpacked: a cookie cannot be a bomb, whoever knows the secret. */
const MAX_UNPACKED_BYTES = 1024 * 1024;

/**
 * One byte that says how it is packed; a line of JSON, `[format, handle, id, fields, [name, length, …]]`; then the texts
 * of the values one after the other, so that they are not escaped a second time.
 *
 * @param compress pack it where that makes it shorter
 */
export function packRecord({ id, record }: SealedRecord, compress: boolean): Buffer {
  const { format, handle, values, corrupt: _, ...fields } = record;
  const lengths = Object.entries(values).flatMap(([name, text]) => [name, text.length]);
  const head = JSON.stringify([format, handle, id, fields, lengths]);
  const bytes = Buffer.from(`${head}\n${Object.values(values).join('')}`);
  const packed = compress && bytes.length <= MAX_UNPACKED_BYTES ? deflateRawSync(bytes) : bytes;
  const isShorter = packed.length < bytes.length;
  return Buffer.concat([Buffer.of(isShorter ? DEFLATED : PLAIN), isShorter ? packed : bytes]);
}

/** @returns undefined for what `packRecord` did not make */
export function unpackRecord(packed: Buffer): SealedRecord | NewerRecord | undefined {
  try {
    const text = unpack(packed)?.toString();
    return text === undefined ? undefined : recordOf(text);
  } catch {
    return undefined; // no JSON, or longer than anything that we pack
  }
}

function unpack(packed: Buffer): Buffer | undefined {
  const bytes = packed.subarray(1);
  if (packed[0] === PLAIN) return bytes;
  if (packed[0] === DEFLATED) return inflateRawSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES });
  return undefined;
}

type Head = [
  format: number,
  handle: string,
  id: string,
  fields: Omit<SessionRecord, 'format' | 'handle' | 'values'>,
  lengths: (string | number)[],
];

function recordOf(text: string): SealedRecord | NewerRecord {
  const headEnd = text.indexOf('\n');
  const [format, handle, id, fields, lengths] = JSON.parse(text.slice(0, headEnd)) as Head;
  if (format > RECORD_FORMAT) return { format, handle };
  const values: Record<string, string> = { __proto__: null } as never; // a value may be named `__proto__`
  let start = headEnd + 1;
  for (let i = 0; i < lengths.length; i += 2) {
    const end = start + Number(lengths[i + 1]);
    values[lengths[i]] = text.slice(start, end);
    start = end;
  }
  return { id, record: { ...fields, format, handle, values } };
}
