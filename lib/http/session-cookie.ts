import { stringifySetCookie } from 'cookie';
import type { CookiePlace, CookiesRead, SessionBackend } from '../backends/session-backend.js';
import type { EpochMs } from '../core/clock.js';
import { type CookieEnd, maxAgeSeconds } from '../core/deadlines.js';
import type { ResolvedCookieOptions } from '../options/resolve-options.js';

const DEFAULT_NAME = 'sessionid';

const NOTHING: CookiesRead<never> = { tokens: [], presentNames: [] };

/** The session cookie: its names, where in a Cookie header it is looked for, how it is set and cleared. */
export class SessionCookie {
  /** The name on HTTPS, and the one on plain HTTP; the same when the user gave one. */
  readonly #secure: CookiePlace;
  readonly #plain: CookiePlace;

  constructor(
    private readonly options: ResolvedCookieOptions,
    private readonly backend: Pick<SessionBackend, 'readCookies'>,
  ) {
    const prefix = options.domain === undefined && options.path === '/' ? '__Host-' : '__Secure-';
    const secureName = options.name ?? (options.secure === false ? DEFAULT_NAME : prefix + DEFAULT_NAME);
    const plainName = options.name ?? (options.secure === true ? secureName : DEFAULT_NAME);
    this.#secure = { name: secureName, attributeBytes: this.#attributeBytes(true) };
    this.#plain = { name: plainName, attributeBytes: this.#attributeBytes(false) };
  }

  /** Whether a cookie can be set on this request at all: browsers refuse a Secure one on plain HTTP. */
  isWithheld(isSecure: boolean): boolean {
    return this.options.secure === true && !isSecure;
  }

  /** Where the answer to a request puts the cookie. */
  placeFor(isSecure: boolean): CookiePlace {
    return isSecure ? this.#secure : this.#plain;
  }

  /**
   * Reads what the request brought. A prefixed name counts on any transport and wins, because a neighbour on a
   * sub-domain or on plain HTTP cannot plant it; the plain one counts on plain HTTP only.
   */
  read(header: string | undefined, isSecure: boolean): CookiesRead {
    if (header === undefined) return NOTHING;
    const prefixed = this.backend.readCookies(header, this.#secure.name);
    if (prefixed.tokens.length > 0 || this.#plain.name === this.#secure.name || isSecure) return prefixed;
    const plain = this.backend.readCookies(header, this.#plain.name);
    return plain.presentNames.length === 0 ? prefixed : plain;
  }

  /** The Set-Cookie header that gives the browser a value, until `end`. */
  set(name: string, value: string, end: CookieEnd, isSecure: boolean, now: EpochMs): string {
    return this.#write(name, value, isSecure, end === 'browser' ? undefined : maxAgeSeconds(end, now));
  }

  /** The Set-Cookie header that takes it away, with the attributes that it was set with. */
  clear(name: string, isSecure: boolean): string {
    return this.#write(name, '', isSecure, 0);
  }

  /** Whether a Set-Cookie header is one of ours. */
  isOurs(setCookie: string): boolean {
    return setCookie.startsWith(`${this.#secure.name}=`) || setCookie.startsWith(`${this.#plain.name}=`);
  }

  #attributeBytes(isSecure: boolean): number {
    return this.#write('n', '', isSecure, maxAgeSeconds(Infinity, 0)).length - 'n='.length;
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
