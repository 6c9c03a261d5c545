import { SessionOptionsError } from '../errors.js';
import type { SessionCookieOptions, SessionOptions } from '../session-options.js';
import { type Duration, durationMs } from '../core/duration.js';
import { withHidden } from './hidden.js';
import { isGuessable } from './known-secret.js';
import { type ResolvedCsrfOptions, resolveCsrf } from './resolve-csrf.js';
import { type ResolvedSweepOptions, resolveSweep } from './resolve-sweep.js';
import { jsonSerializer, type SessionSerializer } from '../core/serializer.js';

export interface ResolvedCookieOptions extends Omit<SessionCookieOptions, 'path'> {
  readonly path: string;
  readonly secure: boolean | 'auto';
  readonly sameSite: 'lax' | 'strict' | 'none';
  readonly httpOnly: boolean;
  readonly partitioned: boolean;
  readonly persistent: boolean;
}

/** The options as the framework uses them: complete, checked, in milliseconds. */
export interface ResolvedSessionOptions {
  readonly secrets: readonly string[];
  readonly idleTimeoutMs: number;
  readonly absoluteTimeoutMs: number;
  readonly touchEveryMs: number;
  readonly saveEveryRequest: boolean;
  readonly unconfirmedTimeoutMs: number | undefined;
  readonly rotationGraceMs: number;
  readonly storeTimeoutMs: number;
  readonly maxSize: number;
  readonly load: 'lazy' | 'eager';
  readonly serializer: SessionSerializer;
  readonly debug: boolean;
  readonly alwaysHttps: boolean;
  readonly persistent: boolean;
  readonly cookie: ResolvedCookieOptions;
  readonly csrf: ResolvedCsrfOptions;
  readonly sweep: ResolvedSweepOptions | false;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const MIN_SECRET_LENGTH = 32;
const MAX_NAME_LENGTH = 128;
const MAKE_A_SECRET = 'print a good one with `npx nest-session secret` and keep it out of the code';

/**
 * Checks what the user wrote, fills in defaults and turns every duration into milliseconds.
 *
 * @param otherProblems what is wrong elsewhere, to be told in one go
 * @throws SessionOptionsError with every problem that there is, each with what to write instead
 */
export function resolveOptions(
  options: SessionOptions,
  hasStore = true,
  otherProblems: readonly string[] = [],
): ResolvedSessionOptions {
  const problems = [...otherProblems];
  if (!hasStore) problems.push('store is missing: write store: MemorySessionStore, or TypeOrmSessionStore.');
  checkNames(options, KNOWN_OPTIONS, '', problems);
  const secrets = [options.secret ?? []].flat() as string[]; // what is none is told in the next line
  checkSecrets(secrets, problems);
  const timeouts = resolveTimeouts(options, problems);
  const maxSize = options.maxSize ?? 256 * 1024;
  if (!Number.isInteger(maxSize) || maxSize <= 0)
    problems.push('maxSize is a number of bytes: write 262144.');
  const saveEveryRequest = options.saveEveryRequest ?? false;
  checkSaveEveryRequest(options, problems);
  const load = options.load ?? 'lazy';
  if (load !== 'lazy' && load !== 'eager') problems.push("load is 'lazy' or 'eager'.");
  const serializer = options.serializer ?? jsonSerializer;
  if (typeof serializer.stringify !== 'function' || typeof serializer.parse !== 'function')
    problems.push('serializer needs two functions: { stringify, parse }.');
  if (serializer.accepts !== undefined && typeof serializer.accepts !== 'function')
    problems.push('serializer.accepts is a function: write (value) => value instanceof Date, for example.');
  const debug = options.debug ?? false;
  if (typeof debug !== 'boolean') problems.push('debug is true or false.');
  const alwaysHttps = options.alwaysHttps ?? false;
  checkAlwaysHttps(options, problems);
  const cookie = resolveCookie(options.cookie ?? {}, problems);
  if (typeof options.csrf === 'object' && options.csrf !== null)
    checkNames(options.csrf, KNOWN_CSRF_OPTIONS, 'csrf.', problems);
  const csrf = resolveCsrf(options.csrf, problems);
  const sweep = resolveSweep(options.sweep ?? {}, problems);

  if (problems.length > 0) throw new SessionOptionsError(problems);
  const { persistent } = cookie;
  const rest = { saveEveryRequest, maxSize, load, serializer, debug, cookie, csrf, persistent, sweep };
  return Object.freeze(withHidden({ alwaysHttps, ...timeouts, ...rest }, 'secrets', Object.freeze(secrets)));
}

const KNOWN_OPTIONS = new Set<string>([
  ...['secret', 'idleTimeout', 'absoluteTimeout', 'touchEvery', 'rotationGrace', 'storeTimeout'],
  ...['maxSize', 'load', 'cookie', 'serializer', 'csrf', 'debug', 'sweep'],
  ...['saveEveryRequest', 'unconfirmedTimeout', 'alwaysHttps'],
]);

const KNOWN_CSRF_OPTIONS = new Set<string>(['trustedOrigins', 'everyone', 'requireToken']);

const KNOWN_COOKIE_OPTIONS = new Set<string>([
  ...['name', 'path', 'domain', 'secure', 'sameSite', 'httpOnly', 'partitioned', 'priority', 'persistent'],
]);

/** What people write who come from elsewhere. */
const HINTS: Record<string, string> = {
  resave: 'leave it out, nothing is saved that did not change',
  saveUninitialized: 'leave it out, an empty session is stored by session.save() alone',
  rolling: 'leave it out, see touchEvery; or write saveEveryRequest',
  ttl: 'write idleTimeout and absoluteTimeout',
  maxAge: 'write idleTimeout and absoluteTimeout beside cookie',
  'cookie.maxAge': 'write idleTimeout and absoluteTimeout beside cookie',
  'cookie.expires': 'write absoluteTimeout beside cookie',
  'cookie.signed': 'leave it out, the cookie is always signed',
  name: 'write cookie: { name }',
  secrets: 'write secret: [first, second]',
  auth: 'write it beside store, in forRootAsync({ store, auth, useFactory })',
  store: 'write it beside useFactory, in forRootAsync({ store, useFactory })',
  users: 'write auth: { users }',
  loginUrl: 'write auth: { users, loginUrl }',
  genid: 'leave it out, ids are 256 random bits',
  proxy: 'leave it out, the platform says whom it trusts: see trust proxy in README.md',
  unset: 'leave it out, `await session.flush()` ends a session',
  expires: 'write absoluteTimeout',
  ...Object.fromEntries(
    ['domain', 'path', 'secure', 'httpOnly', 'sameSite'].map((name) => [name, `write cookie: { ${name} }`]),
  ),
};

function checkNames(options: object, known: Set<string>, prefix: string, problems: string[]): void {
  for (const name of Object.keys(options)) {
    if (known.has(name)) continue;
    const all = prefix === '' ? ['store', 'auth', ...known] : [...known]; // forRoot takes these two out before
    const hint = HINTS[prefix + name] ?? `the options are ${all.join(', ')}`;
    problems.push(`${prefix}${name} is not an option: ${hint}.`);
  }
}

function checkSecrets(secrets: readonly unknown[], problems: string[]): void {
  if (secrets.length === 0) problems.push(`secret is missing: ${MAKE_A_SECRET}.`);
  secrets.forEach((secret, index) => {
    const name = secrets.length > 1 ? `secret[${index}]` : 'secret';
    if (typeof secret !== 'string') problems.push(`${name} is not a string: ${MAKE_A_SECRET}.`);
    else if (secret.length < MIN_SECRET_LENGTH)
      problems.push(`${name} has fewer than ${MIN_SECRET_LENGTH} characters: ${MAKE_A_SECRET}.`);
    else if (process.env.NODE_ENV === 'production' && isGuessable(secret))
      problems.push(
        `${name} is a known example, or easy to guess, and NODE_ENV is production: ${MAKE_A_SECRET}.`,
      );
  });
}

function resolveTimeouts(options: SessionOptions, problems: string[]) {
  const read = (name: string, duration: Duration | undefined): number | undefined => {
    if (duration === undefined) return undefined;
    const milliseconds = durationMs(duration);
    if (
      milliseconds === undefined ||
      (milliseconds === 0 && name !== 'touchEvery' && name !== 'rotationGrace')
    ) {
      problems.push(
        `${name} is no duration: write seconds as a number, or a text with a unit such as '30m'.`,
      );
      return undefined;
    }
    return milliseconds;
  };
  const idle = read('idleTimeout', options.idleTimeout);
  const absolute = read('absoluteTimeout', options.absoluteTimeout);
  if (idle !== undefined && absolute !== undefined && absolute < idle)
    problems.push('absoluteTimeout is shorter than idleTimeout: swap them, or leave one out.');
  // The defaults adapt to the one that was written.
  const idleTimeoutMs = idle ?? Math.min(14 * DAY_MS, absolute ?? Infinity);
  const absoluteTimeoutMs = absolute ?? Math.max(30 * DAY_MS, idleTimeoutMs);
  const touchEvery = read('touchEvery', options.touchEvery);
  if (touchEvery !== undefined && touchEvery >= idleTimeoutMs)
    problems.push(
      'touchEvery is not shorter than idleTimeout: a session in use would end. Write a tenth of it.',
    );
  const unconfirmedTimeoutMs = read('unconfirmedTimeout', options.unconfirmedTimeout);
  if (unconfirmedTimeoutMs !== undefined && unconfirmedTimeoutMs >= idleTimeoutMs)
    problems.push(
      "unconfirmedTimeout is not shorter than idleTimeout: it would change nothing. Write '1h', or leave it out.",
    );
  return {
    idleTimeoutMs,
    absoluteTimeoutMs,
    touchEveryMs: touchEvery ?? Math.min(idleTimeoutMs / 10, 5 * MINUTE_MS),
    unconfirmedTimeoutMs,
    rotationGraceMs: read('rotationGrace', options.rotationGrace) ?? 30_000,
    storeTimeoutMs: read('storeTimeout', options.storeTimeout) ?? 5_000,
  };
}

function checkSaveEveryRequest({ saveEveryRequest, touchEvery }: SessionOptions, problems: string[]): void {
  if (saveEveryRequest !== undefined && typeof saveEveryRequest !== 'boolean')
    problems.push('saveEveryRequest is true or false.');
  if (saveEveryRequest === true && touchEvery !== undefined)
    problems.push(
      'saveEveryRequest writes at every request, touchEvery says how seldom: leave one of them out, best saveEveryRequest.',
    );
}

function checkAlwaysHttps({ alwaysHttps, cookie }: SessionOptions, problems: string[]): void {
  if (alwaysHttps !== undefined && typeof alwaysHttps !== 'boolean')
    problems.push('alwaysHttps is true or false.');
  if (alwaysHttps === true && cookie?.secure === false)
    problems.push('alwaysHttps and cookie.secure false contradict each other: leave cookie.secure out.');
}

function resolveCookie(cookie: SessionCookieOptions, problems: string[]): ResolvedCookieOptions {
  checkNames(cookie, KNOWN_COOKIE_OPTIONS, 'cookie.', problems);
  const resolved: ResolvedCookieOptions = {
    name: cookie.name,
    path: cookie.path ?? '/',
    domain: cookie.domain,
    secure: cookie.secure ?? 'auto',
    sameSite: cookie.sameSite ?? 'lax',
    httpOnly: cookie.httpOnly ?? true,
    partitioned: cookie.partitioned ?? false,
    priority: cookie.priority,
    persistent: cookie.persistent ?? true,
  };
  checkCookieSyntax(resolved, problems);
  checkCookieSense(resolved, problems);
  return Object.freeze(resolved);
}

/** Characters that would end the attribute and begin another one (CVE-2024-47764). */
const UNSAFE_ATTRIBUTE = /[\u0000-\u001f\u007f;,]/;

function checkCookieSyntax(
  { name, path, domain, secure, sameSite, priority }: ResolvedCookieOptions,
  problems: string[],
) {
  // RFC 9110, 5.6.2: a token
  if (name !== undefined && !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name))
    problems.push(
      'cookie.name has characters that a cookie name cannot have: write letters, digits, - and _.',
    );
  if (name !== undefined && name.length > MAX_NAME_LENGTH)
    problems.push(`cookie.name has more than ${MAX_NAME_LENGTH} characters: every request carries it.`);
  if (typeof path !== 'string' || !path.startsWith('/') || UNSAFE_ATTRIBUTE.test(path))
    problems.push("cookie.path must begin with / and have no control characters, ; or ,: write '/'.");
  if (domain !== undefined && !/^\.?[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(domain))
    problems.push("cookie.domain is no host name: write 'example.com', or leave it out.");
  if (secure !== true && secure !== false && secure !== 'auto')
    problems.push("cookie.secure is true, false or 'auto'.");
  if (!['lax', 'strict', 'none'].includes(sameSite))
    problems.push("cookie.sameSite is 'lax', 'strict' or 'none'.");
  if (priority !== undefined && !['low', 'medium', 'high'].includes(priority))
    problems.push("cookie.priority is 'low', 'medium' or 'high'.");
}

/**
 * What browsers refuse (RFC 6265bis, 5.7; layered cookies for `__Http-`), and so would lose every session. They compare
 * prefixes without regard to case.
 */
function checkCookieSense(cookie: ResolvedCookieOptions, problems: string[]): void {
  const { name = '', path, domain, secure, sameSite, httpOnly, partitioned } = cookie;
  if (sameSite === 'none' && secure !== true)
    problems.push("cookie.sameSite 'none' needs cookie.secure true: browsers drop the cookie without it.");
  if (partitioned && secure !== true)
    problems.push('cookie.partitioned needs cookie.secure true: browsers drop the cookie without it.');
  if (/^__(Host|Secure|Http|Host-Http)-/i.test(name) && secure === false)
    problems.push(`cookie.name ${name} needs cookie.secure true: browsers drop the cookie without it.`);
  if (/^__Host-/i.test(name) && domain !== undefined)
    problems.push(`cookie.name ${name} excludes cookie.domain: leave the domain out, or write __Secure-.`);
  if (/^__Host-/i.test(name) && path !== '/') problems.push(`cookie.name ${name} needs cookie.path '/'.`);
  if (/^__(Host-)?Http-/i.test(name) && !httpOnly)
    problems.push(`cookie.name ${name} needs cookie.httpOnly true.`);
}
