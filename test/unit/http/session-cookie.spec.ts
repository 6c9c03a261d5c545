import type { CookiesRead } from '../../../lib/backends/session-backend.js';
import { type PresentedId, StoredBackend } from '../../../lib/backends/stored.backend.js';
import { systemClock } from '../../../lib/core/clock.js';
import type { CookieEnd } from '../../../lib/core/deadlines.js';
import { resolveOptions } from '../../../lib/options/resolve-options.js';
import { newId } from '../../../lib/core/session-id.js';
import { SessionEvents } from '../../../lib/events/session-events.js';
import { SessionCookieCodec } from '../../../lib/http/cookie-codec.js';
import { SessionCookie } from '../../../lib/http/session-cookie.js';
import type { SessionCookieOptions } from '../../../lib/session-options.js';
import { MemorySessionStore } from '../../../lib/stores/memory.store.js';

const secret = 'a secret for tests, of more than 32 characters';
const codec = new SessionCookieCodec({ secrets: [secret] });
const NOW = Date.UTC(2030, 0);

const make = (cookie: SessionCookieOptions = {}) => {
  const options = resolveOptions({ secret, cookie });
  const store = new MemorySessionStore();
  const backend = new StoredBackend(store, options, systemClock, new SessionEvents(), codec);
  return new SessionCookie(options.cookie, backend);
};
/** The Set-Cookie header of a new id. */
const set = (cookie: SessionCookie, end: CookieEnd, isSecure: boolean) =>
  cookie.set(cookie.placeFor(isSecure).name, newId(), end, isSecure, NOW);
const signed = (name: string, id = newId()) => `${name}=${codec.encode(id, name)}`;
const idsOf = (cookie: SessionCookie, header: string | undefined, isSecure = false) =>
  (cookie.read(header, isSecure) as CookiesRead<PresentedId>).tokens.map(({ id }) => id);
const nameOf = (setCookie: string) => setCookie.split('=')[0];
const attributesOf = (setCookie: string) => setCookie.split('; ').slice(1).sort();

describe('SessionCookie', () => {
  describe('chooses its name', () => {
    it.each<[SessionCookieOptions, string, string]>([
      [{}, 'sessionid', '__Host-sessionid'],
      [{ secure: true }, '__Host-sessionid', '__Host-sessionid'],
      [{ secure: false }, 'sessionid', 'sessionid'],
      [{ domain: 'example.com' }, 'sessionid', '__Secure-sessionid'],
      [{ path: '/app' }, 'sessionid', '__Secure-sessionid'],
      [{ name: 'sid' }, 'sid', 'sid'],
      [{ name: '__Host-sid' }, '__Host-sid', '__Host-sid'],
    ])('%j: %s on HTTP, %s on HTTPS', (options, onHttp, onHttps) => {
      const cookie = make(options);

      expect(nameOf(set(cookie, 'browser', false))).toBe(onHttp);
      expect(nameOf(set(cookie, 'browser', true))).toBe(onHttps);
    });
  });

  describe('writes all its attributes', () => {
    it('by default', () => {
      const line = set(make(), NOW + 60_000, true);
      expect(attributesOf(line)).toEqual(['HttpOnly', 'Max-Age=60', 'Path=/', 'SameSite=Lax', 'Secure']);
    });

    it('no Secure on plain HTTP, where secure is auto', () => {
      expect(attributesOf(set(make(), NOW + 60_000, false))).not.toContain('Secure');
    });

    it('no Max-Age for a cookie that ends with the browser', () => {
      expect(attributesOf(set(make(), 'browser', false))).toEqual(['HttpOnly', 'Path=/', 'SameSite=Lax']);
    });

    it('as they were asked for', () => {
      const cookie = make({
        ...{ name: 'sid', path: '/app', domain: 'example.com', secure: true, sameSite: 'none' },
        ...{ httpOnly: false, partitioned: true, priority: 'high' },
      });

      expect(attributesOf(set(cookie, 'browser', true))).toEqual(
        ['Domain=example.com', 'Partitioned', 'Path=/app', 'Priority=High', 'SameSite=None', 'Secure'].sort(),
      );
    });

    it('and the same when it is cleared, or browsers keep it', () => {
      const cookie = make({
        path: '/app',
        domain: 'example.com',
        secure: true,
        sameSite: 'none',
        partitioned: true,
      });
      const attributes = attributesOf(set(cookie, 'browser', true));
      const cleared = cookie.clear('__Secure-sessionid', true);

      expect(cleared).toMatch(/^__Secure-sessionid=;/);
      expect(attributesOf(cleared)).toEqual([...attributes, 'Max-Age=0'].sort());
    });

    it('at most 400 days', () => {
      const line = set(make(), NOW + 1000 * 86_400_000, false);
      expect(attributesOf(line)).toContain(`Max-Age=${400 * 86_400}`);
    });
  });

  it('is withheld on plain HTTP where it has to be Secure, since browsers drop it', () => {
    expect([make({ secure: true }).isWithheld(false), make({ secure: true }).isWithheld(true)]).toEqual([
      true,
      false,
    ]);
    expect([make().isWithheld(false), make({ secure: false }).isWithheld(false)]).toEqual([false, false]);
  });

  describe('reads its exact name and nothing else', () => {
    const id = newId();

    it.each<[string, string]>([
      ['alone', signed('sessionid', id)],
      ['among others', `a=1; ${signed('sessionid', id)}; b=2`],
      ['without blanks', `a=1;${signed('sessionid', id)};b=2`],
      ['with more blanks and tabs', `a=1 ; \t ${signed('sessionid', id)} \t; b=2`],
      ['beside names that begin or end as it does', `xsessionid=1; sessionidx=2; ${signed('sessionid', id)}`],
      ['after a value that holds it', `a=sessionid; b=sessionid=x; ${signed('sessionid', id)}`],
      ['twice the same', `${signed('sessionid', id)}; ${signed('sessionid', id)}`],
      [
        'beside garbage under the same name',
        `sessionid=; sessionid=x; ${signed('sessionid', id)}; sessionid="`,
      ],
    ])('%s', (_, header) => {
      expect(idsOf(make(), header)).toEqual([id]);
    });

    it.each<[string, string | undefined]>([
      ['no header', undefined],
      ['an empty header', ''],
      ['another case', signed('sessionid', id).replace('sessionid', 'SessionID')],
      ['an encoded name', signed('sessionid', id).replace('sessionid', '%73essionid')],
      ['a nameless cookie', `=${signed('sessionid', id)}`],
      ['a nameless cookie with blanks', `= ${signed('sessionid', id)}`],
      ['a value', `a=${signed('sessionid', id)}`],
      ['a blank before =', signed('sessionid', id).replace('=', ' =')],
      ['quotes', signed('sessionid', id).replace('=', '="').concat('"')],
      ['another separator', `a=1, ${signed('sessionid', id)}`],
      ['a line end as separator', `a=1\n${signed('sessionid', id)}`],
      ['a no-break space as separator', `a=1;\u00a0${signed('sessionid', id)}`],
      ['a value signed for the other name', signed('__Host-sessionid', id).replace('__Host-', '')],
    ])('not from %s', (_, header) => {
      expect(idsOf(make(), header)).toEqual([]);
    });

    it.each([
      '__host-sessionid',
      '%5F%5FHost-sessionid',
      '__Host%2Dsessionid',
      ' =__Host-sessionid',
      '__HOST-sessionid',
    ])('not __Host-sessionid from %s', (name) => {
      const value = codec.encode(id, '__Host-sessionid');
      expect(idsOf(make(), `${name}=${value}`, true)).toEqual([]);
      expect(idsOf(make(), `${name}=${codec.encode(id, name)}`, true)).toEqual([]);
    });

    it('several different ones, all of them', () => {
      const other = newId();
      expect(idsOf(make(), `${signed('sessionid', id)}; ${signed('sessionid', other)}`)).toEqual([id, other]);
    });

    it('and tells whether something of its name came at all, for a logout to clear', () => {
      expect(make().read('sessionid=garbage', false)).toMatchObject({
        tokens: [],
        presentNames: ['sessionid'],
      });
      expect(make().read('a=1', false)).toMatchObject({ tokens: [], presentNames: [] });
    });
  });

  describe('prefers the prefixed name, which nobody can plant', () => {
    const [prefixed, planted] = [newId(), newId()];
    const both = `${signed('sessionid', planted)}; ${signed('__Host-sessionid', prefixed)}`;

    it.each([true, false])('on HTTPS %s', (isSecure) => {
      expect(idsOf(make(), both, isSecure)).toEqual([prefixed]);
    });

    it('and never reads the plain one on HTTPS', () => {
      expect(idsOf(make(), signed('sessionid', planted), true)).toEqual([]);
    });

    it('and reads the plain one on HTTP beside garbage under the prefixed name', () => {
      expect(idsOf(make(), `__Host-sessionid=x; ${signed('sessionid', planted)}`, false)).toEqual([planted]);
    });
  });

  it('knows its own Set-Cookie lines', () => {
    const cookie = make();
    expect(cookie.isOurs(set(cookie, 'browser', true))).toBe(true);
    expect(cookie.isOurs(cookie.clear('sessionid', false))).toBe(true);
    expect(
      ['sessionid2=1', 'xsessionid=1', '__Host-sessionidx=1'].map((line) => cookie.isOurs(line)),
    ).toEqual([...[false, false, false]]);
  });
});
