import { withoutSecrets } from '../../redacted-error.js';

/**
 * What a server says when it refuses, and what that means to whoever reads it. Its own words are not passed on: they may
 * hold what a visitor sent. Redis begins them with a code, but for some that are older.
 */
const REFUSALS: readonly { readonly says: RegExp; readonly code: string; readonly words: string }[] = [
  {
    says: /^NOAUTH/,
    code: 'NOAUTH',
    words:
      'Redis asks for a password (NOAUTH), and got none: write redis://user:password@host:6379/0, or redis://:password@host where there are no users, or give your client its `password`.',
  },
  {
    says: /^WRONGPASS|^ERR invalid password/,
    code: 'WRONGPASS',
    words:
      'Redis refuses the user or the password (WRONGPASS): see what stands in the URL, where #, /, ? and % have to be encoded (encodeURIComponent does it), or in your client’s options; a password without a user is redis://:password@host.',
  },
  {
    says: /^ERR (Client sent AUTH, but no password|AUTH .*without any password)/,
    code: 'ERR',
    words:
      'Redis got a password and has none: leave it out of the URL or of your client’s options, or set `requirepass` on the server.',
  },
  {
    says: /^ERR (DB index is out of range|invalid DB index|SELECT is not allowed)/,
    code: 'ERR',
    words:
      'Redis has no database of that number: end the URL with a smaller one, such as /0 (your client: `db` or `database`), or raise `databases` on the server. A cluster has 0 alone.',
  },
  {
    says: /^(-|.* -)?READONLY/,
    code: 'READONLY',
    words:
      'Redis is a replica, which can be read only (READONLY): give the address of its primary, or a client that finds it by Sentinel.',
  },
  {
    says: /^(MOVED|ASK|CROSSSLOT)\b/,
    code: 'MOVED',
    words:
      'Redis is a node of a cluster, and a `url` or a plain client reaches this node alone: write RedisSessionStore.with({ client }) with a client of the cluster (createCluster of redis, or Cluster of ioredis).',
  },
  {
    says: /^OOM/,
    code: 'OOM',
    words:
      'Redis is full (OOM) and takes no writes: raise `maxmemory`, or give sessions a server of their own.',
  },
  {
    says: /^MISCONF/,
    code: 'MISCONF',
    words: 'Redis can’t save to its disk (MISCONF) and takes no writes: its own log says why.',
  },
  {
    says: /^NOREPLICAS/,
    code: 'NOREPLICAS',
    words: 'Redis has fewer replicas than `min-replicas-to-write` (NOREPLICAS) and takes no writes.',
  },
  {
    says: /^LOADING/,
    code: 'LOADING',
    words: 'Redis is reading its data from the disk (LOADING), and answers when that is done.',
  },
  {
    says: /^MASTERDOWN/,
    code: 'MASTERDOWN',
    words: 'Redis is a replica that has lost its primary (MASTERDOWN).',
  },
];

/** These pass by themselves, or on the server: nothing in the application would mend them. */
const PASSING = ['OOM', 'MISCONF', 'NOREPLICAS', 'LOADING', 'MASTERDOWN'];

/** The server answered, and refuses. */
export class RedisRefusal extends Error {
  override readonly name = 'RedisRefusal';

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  /** Somebody wrote something wrong, and has to write something else. */
  get isMistake(): boolean {
    return !PASSING.includes(this.code);
  }
}

/** An ACL refuses commands, or the keys that they name. */
export class RedisNoPermission extends RedisRefusal {
  /** @param refused the commands; none when it is the keys */
  constructor(
    readonly refused: readonly string[],
    keys = 'those that begin with the store’s `prefix`',
  ) {
    const allow = refused.map((command) => `+${command}`).join(' ');
    const what =
      allow === ''
        ? `keys to this user (NOPERM): allow ${keys}`
        : `commands to this user (NOPERM): allow ${allow}`;
    super('NOPERM', `Redis refuses ${what} in its ACL. All that the store needs stands in its README.`);
  }
}

/** @returns undefined when it is something else */
export function refusalOf(error: unknown): RedisRefusal | undefined {
  if (error instanceof RedisRefusal) return error;
  const text = messageOf(error);
  if (/^NOPERM|^ERR The user executing the script can't/.test(text)) return noPermission(text);
  const known = REFUSALS.find(({ says }) => says.test(text));
  return known && new RedisRefusal(known.code, known.words);
}

function noPermission(text: string): RedisNoPermission {
  if (/\bkeys?\b/.test(text)) return new RedisNoPermission([]);
  return new RedisNoPermission([/ the '([a-z|]+)' command/.exec(text)?.[1] ?? 'the command']);
}

/** Nothing was written: a replica refuses a script at its first write, and there is no part of one. */
export function isReadOnly(error: unknown): boolean {
  return refusalOf(error)?.code === 'READONLY';
}

export function isUnknownScript(error: unknown): boolean {
  return messageOf(error).startsWith('NOSCRIPT');
}

/** The connection broke before the answer came; what the server says begins with a code. */
export function isBroken(error: unknown): boolean {
  const { name } = Object(error) as { name?: unknown };
  return name !== 'AbortError' && !/^-?[A-Z]{2,}\b/.test(messageOf(error));
}

/** Throws what is fit for a log: clients put whole commands, with keys and values, into their errors. */
export function rethrow(error: unknown): never {
  throw refusalOf(error) ?? withoutSecrets(error) ?? new Error('Redis failed.');
}

/** By its look: an error of another realm is none to `instanceof`. */
export function messageOf(error: unknown): string {
  const { message } = Object(error) as { message?: unknown };
  return typeof message === 'string' ? message : '';
}
