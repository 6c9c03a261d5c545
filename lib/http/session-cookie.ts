import { stringifySetCookie } from 'cookie';
import type { EpochMs } from '../core/clock.js';
import { type CookieEnd, maxAgeSeconds } from '../core/deadlines.js';
import type { ResolvedCookieOptions } from '../core/resolve-options.js';
import type { SessionCookieCodec, VerifiedId } from './cookie-codec.js';

const DEFAULT_NAME = 'sessionid';

/** What the Cookie header held under our names. */
export interface CookiesRead {
  /** Different ids of ours, each once; more than one when the browser holds cookies of several paths or domains. */
  readonly ids: readonly VerifiedId[];
  /** The name under which something came, ours or not: what a logout has to clear. */
  readonly presentName: string | undefined;
}

const NOTHING: CookiesRead = { ids: [], presentName: undefined };

/** The session cookie: its names, how it is read from a Cookie header, how it is set and cleared. */
export class SessionCookie {
  /** The name on HTTPS, and the one on plain HTTP; the same when the user gave one. */
  readonly #secureName: string;
  readonly #plainName: string;

  constructor(
    private readonly options: ResolvedCookieOptions,
    private readonly codec: SessionCookieCodec,
  ) {
    const prefix = options.domain === undefined && options.path === '/' ? '__Host-' : '__Secure-';
    this.#secureName = options.name ?? (options.secure === false ? DEFAULT_NAME : prefix + DEFAULT_NAME);
    this.#plainName = options.name ?? (options.secure === true ? this.#secureName : DEFAULT_NAME);
  }

  /** Whether a cookie can be set on this request at all: browsers refuse a Secure one on plain HTTP. */
  isWithheld(isSecure: boolean): boolean {
    return this.options.secure === true && !isSecure;
  }

  /**
   * Reads what the request brought. A prefixed name counts on any transport and wins, because a neighbour on a
   * sub-domain or on plain HTTP cannot plant it; the plain one counts on plain HTTP only.
   */
  read(header: string | undefined, isSecure: boolean): CookiesRead {
    if (header === undefined) return NOTHING;
    const prefixed = this.#readName(header, this.#secureName);
    if (prefixed.ids.length > 0 || this.#plainName === this.#secureName || isSecure) return prefixed;
    const plain = this.#readName(header, this.#plainName);
    return plain.presentName === undefined ? prefixed : plain;
  }

  /** The Set-Cookie header that gives the browser an id. */
  set(id: string, end: CookieEnd, isSecure: boolean, now: EpochMs): string {
    const name = this.#nameFor(isSecure);
    const value = this.codec.encode(id, name);
    return this.#write(name, value, isSecure, end === 'browser' ? undefined : maxAgeSeconds(end, now));
  }

  /** The Set-Cookie header that takes it away, with the attributes that it was set with. */
  clear(name: string, isSecure: boolean): string {
    return this.#write(name, '', isSecure, 0);
  }

  /** Whether a Set-Cookie header is one of ours. */
  isOurs(setCookie: string): boolean {
    return setCookie.startsWith(`${this.#secureName}=`) || setCookie.startsWith(`${this.#plainName}=`);
  }

  #nameFor(isSecure: boolean): string {
    return isSecure ? this.#secureName : this.#plainName;
  }

  #readName(header: string, name: string): CookiesRead {
    const values = cookieValues(header, name);
    if (values.length === 0) return NOTHING;
    const ids: VerifiedId[] = [];
    for (const value of values) {
      const verified = this.codec.decode(value, name);
      if (verified && !ids.some(({ id }) => id === verified.id)) ids.push(verified);
    }
    return { ids, presentName: name };
  }

  #write(name: string, value: string, isSecure: boolean, maxAge: number | undefined): string {
    const { path, domain, sameSite, httpOnly, partitioned, priority, secure } = this.options;
    const isMarkedSecure = secure === 'auto' ? isSecure : secure;
    return stringifySetCookie(
      {
        name,
        value,
        path,
        domain,
        sameSite,
        httpOnly,
        partitioned,
        priority,
        maxAge,
        secure: isMarkedSecure,
      },
      { encode: (text) => text }, // base64url needs no encoding
    );
  }
}

/**
 * All values under exactly this name, undecoded: `%5F%5FHost-sessionid` and `__host-sessionid` are other cookies
 * (CVE-2020-7070, CVE-2022-31629), and a second cookie of our name must not go unseen, as parsers into an object let it.
 */
function cookieValues(header: string, name: string): string[] {
  const values: string[] = [];
  for (let start = header.indexOf(name); start !== -1; start = header.indexOf(name, start + 1)) {
    if (header[start + name.length] !== '=' || !beginsPair(header, start)) continue;
    const end = header.indexOf(';', start);
    const value = header.slice(start + name.length + 1, end === -1 ? undefined : end);
    values.push(value.trimEnd());
  }
  return values;
}

function beginsPair(header: string, index: number): boolean {
  let before = index - 1;
  while (before >= 0 && (header[before] === ' ' || header[before] === '\t')) before--;
  return before < 0 || header[before] === ';';
}
