import type { Type } from '@nestjs/common';
import { SessionOptionsError } from '../../errors.js';
import { calledAs } from '../../stores/called-as.js';
import { SessionStore, SessionStoreUnsupportedError } from '../../stores/session-store.js';
import { type BackendServices, CREATE_BACKEND, type SessionBackend } from '../session-backend.js';
import { MAX_CHUNKS } from './chunks.js';
import { SealedBackend } from './sealed.backend.js';

export interface EncryptedCookieOptions {
  /** [4] Into how many cookies of 4,096 bytes one session may be cut: 1 to 16. */
  chunks?: number;
  /**
   * [false] Compress what is sealed, where that makes it shorter. The length of the cookie then tells something about
   * what is in it: leave it off where a session holds secrets beside data that others choose (CRIME, BREACH).
   */
  compress?: boolean;
}

/**
 * Keeps the whole session in its cookie, encrypted and authenticated: no store, no server state.
 *
 * Stands where a store stands in the options, so that a test overrides it as any store, and has none of a store's
 * methods: there are no sessions to be found, counted or revoked here. What that costs is told in
 * docs/encrypted-cookie.md.
 *
 * @example
 * SessionModule.forRoot({ store: EncryptedCookieSessions, … })
 * SessionModule.forRoot({ store: EncryptedCookieSessions.with({ chunks: 1 }), … })
 */
export class EncryptedCookieSessions extends SessionStore {
  /** The deadlines are in the cookies: there is nothing to clean. */
  override readonly expiresByItself = true;
  readonly #options: Required<EncryptedCookieOptions>;

  /**
   * The class has no `@Injectable()`, for the parameter is not the injector's to fill.
   *
   * @throws SessionOptionsError
   */
  constructor({ chunks = 4, compress = false }: EncryptedCookieOptions = {}) {
    super();
    const problems: string[] = [];
    if (!Number.isInteger(chunks) || chunks < 1 || chunks > MAX_CHUNKS)
      problems.push(`chunks is a whole number from 1 to ${MAX_CHUNKS}: write chunks: 4.`);
    if (typeof compress !== 'boolean') problems.push('compress is true or false.');
    if (problems.length > 0) throw new SessionOptionsError(problems);
    this.#options = { chunks, compress };
  }

  /** With options: `store: EncryptedCookieSessions.with({ chunks: 1 })`. */
  static with(options: EncryptedCookieOptions): Type<EncryptedCookieSessions> {
    class ConfiguredEncryptedCookieSessions extends EncryptedCookieSessions {
      constructor() {
        super(options);
      }
    }
    return calledAs(EncryptedCookieSessions, ConfiguredEncryptedCookieSessions);
  }

  [CREATE_BACKEND](services: BackendServices): SessionBackend {
    return new SealedBackend(this.#options, services);
  }

  load(): Promise<never> {
    return refuse('load');
  }

  create(): Promise<never> {
    return refuse('create');
  }

  save(): Promise<never> {
    return refuse('save');
  }

  delete(): Promise<never> {
    return refuse('delete');
  }

  override async deleteExpired(): Promise<number> {
    return 0;
  }

  override async ping(): Promise<void> {}
}

function refuse(operation: string): Promise<never> {
  return Promise.reject(new SessionStoreUnsupportedError(EncryptedCookieSessions.name, operation));
}
