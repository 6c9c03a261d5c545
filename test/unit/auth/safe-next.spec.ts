import { validateHeaderValue } from 'node:http';
import fc from 'fast-check';
import { safeNext } from 'nest-session';

const SITE = 'https://shop.example';
const URL_TEXT = 'https://evil.example/';

/** What an attacker puts into `?next=`, and what makes it one. */
const attacks: [string, unknown][] = [
  ['another host', URL_TEXT],
  ['another host, in capitals', 'HTTPS://EVIL.EXAMPLE'],
  ['another host without slashes', 'https:evil.example'],
  ['another host with one slash', 'https:/evil.example'],
  ['this site by its full URL', `${SITE}/account`],
  ['a host that begins like this one', `${SITE}.evil.example/`],
  ['this site as a user name', `${SITE}@evil.example/`],
  ['a user name without a scheme', '@evil.example'],
  ['a port', ':80'],
  ['a host that continues this one', '.evil.example'],
  ['no slash', 'evil.example'],
  ['a relative path', 'account'],
  ['a path above', '../account'],
  ['two slashes', '//evil.example'],
  ['three slashes', '///evil.example'],
  ['two slashes and a user name', '//shop.example@evil.example'],
  ['two slashes and a path above', '//evil.example/..'],
  ['two slashes alone', '//'],
  ['two slashes and dots', '//..'],
  ['two slashes, dots and a host', '//../evil.example'],
  ['two slashes and encoded dots', '//%2e%2e'],
  ['an encoded slash and dots', '/%2F..'],
  ['slash and backslash', '/\\evil.example'],
  ['slash, backslash, slash', '/\\/evil.example'],
  ['two backslashes', '\\\\evil.example'],
  ['backslash and slash', '\\/evil.example'],
  ['a backslash further on', '/account\\..\\..\\evil.example'],
  ['a backslash in the query', '/account?a=\\evil'],
  ['a tab between slashes, which browsers drop', '/\t/evil.example'],
  ['a line feed between slashes', '/\n/evil.example'],
  ['a carriage return between slashes', '/\r/evil.example'],
  ['a tab in front', '\t//evil.example'],
  ['a blank in front', ' //evil.example'],
  ['a blank in front of a good path', ' /account'],
  ['a blank between slashes', '/ /evil.example'],
  ['a null character', '/\0/evil.example'],
  ['a null character in front', '\0/account'],
  ['another header', '/account\r\nSet-Cookie: sessionid=evil'],
  ['another header behind the query', '/account?a=1\nLocation: https://evil.example'],
  ['a delete character', '/\x7f/evil.example'],
  ['a C1 control character', '/\x85/evil.example'],
  ['a line separator', '/\u2028/evil.example'],
  ['a no-break space', '/\u00a0/evil.example'],
  ['a byte order mark', '/\ufeff/evil.example'],
  ['a zero-width space', '/\u200b/evil.example'],
  ['a mark that turns the text around', '/account\u202eelpmaxe.live//'],
  ['half a character', '/\ud800'],
  ['an encoded slash', '/%2Fevil.example'],
  ['an encoded slash in small letters', '/%2fevil.example'],
  ['two encoded slashes', '%2F%2Fevil.example'],
  ['an encoded backslash', '/%5Cevil.example'],
  ['an encoded backslash further on', '/account/%5c..%5cevil'],
  ['a slash that is encoded twice', '/%252Fevil.example'],
  ['a slash that is encoded three times', '/%25252Fevil.example'],
  ['a text that is encoded over and over', `/%${'25'.repeat(20)}2Fevil.example`],
  ['an encoded tab', '/%09/evil.example'],
  ['an encoded line end', '/%0d%0aSet-Cookie:%20sessionid=evil'],
  ['an encoded line end, twice', '/%250d%250aSet-Cookie:%20sessionid=evil'],
  ['an encoded null character', '/%00/evil.example'],
  ['an overlong slash of UTF-8', '/%c0%afevil.example'],
  ['no UTF-8', '/%ff'],
  ['a percent sign alone', '/50%'],
  ['a path above the root with two slashes behind', '/..//evil.example'],
  ['this folder with two slashes behind', '/.//evil.example'],
  ['a folder and back, with two slashes behind', '/account/..//evil.example'],
  ['encoded dots with two slashes behind', '/%2e%2e//evil.example'],
  ['encoded dots with an encoded slash behind', '/%2e%2e%2f/evil.example'],
  ['a wide slash', '/／evil.example'],
  ['two wide slashes', '／／evil.example'],
  ['a wide slash, encoded', '/%EF%BC%8Fevil.example'],
  ['a wide backslash', '/＼evil.example'],
  ['a script', 'javascript:alert(1)'],
  ['a script in capitals with a tab inside', 'JaVa\tScRiPt:alert(1)'],
  ['a script behind a comment', 'javascript://shop.example/%0aalert(1)'],
  ['data', 'data:text/html,<script>alert(1)</script>'],
  ['a blob', `blob:${SITE}/0`],
  ['a program for e-mail', 'mailto:evil@evil.example'],
  ['a file', 'file:///etc/passwd'],
  ['a query without a path', '?next=/account'],
  ['a hash without a path', '#account'],
  ['nothing', ''],
  ['a text that is too long for a header', `/${'a'.repeat(3_000)}`],
  ['an array, as ?next=a&next=b makes it', ['/account']],
  ['an object', { toString: () => '/account' }],
  ['undefined', undefined],
  ['null', null],
  ['a number', 1],
];

describe('safeNext', () => {
  it('knows more than forty attacks', () => {
    expect(new Set(attacks.map(([, text]) => text)).size).toBeGreaterThan(40);
  });

  it.each(attacks)('refuses %s', (_, next) => {
    expect(safeNext(next)).toBe('/');
    expect(safeNext(next, '/start?a=1')).toBe('/start?a=1');
  });

  it.each([
    '/',
    '/account',
    '/account/',
    '/account/orders/7.html',
    '/search?q=tea&page=2',
    '/search?q=a%2Fb%5C%0A&u=https://evil.example//x',
    '/search?next=//evil.example',
    '/search?100%',
    '/account#orders',
    '/account?a=1#//evil.example',
    '/?#',
    '/a//b',
    '/a/../b',
    '/.well-known/change-password',
    '/@alice',
    '/user@evil.example',
    '/a:b;c=d,e!$&()*+',
    '/[id]/{x}|^~',
    '/caf%C3%A9',
    '/100%25',
    '/a%20b',
    '/a%2Fb',
    '/javascript:alert(1)',
  ])('lets %s pass as it is', (path) => {
    expect(safeNext(path)).toBe(path);
    expect(safeNext(path, '/other')).toBe(path);
  });

  it.each([
    ['/café?q=日本#é', '/caf%C3%A9?q=%E6%97%A5%E6%9C%AC#%C3%A9'],
    ['/🍵', '/%F0%9F%8D%B5'],
    [`/"><script>'\``, '/%22%3E%3Cscript%3E%27%60'],
    [`/a?b='"<>`, '/a?b=%27%22%3C%3E'],
  ])('encodes what a header or an attribute cannot carry: %s', (text, path) => {
    expect(safeNext(text)).toBe(path);
  });

  it('holds the fallback to the same rules, so that a Referer may be one', () => {
    expect(safeNext(undefined, URL_TEXT)).toBe('/');
    expect(safeNext('//evil.example', '/\\evil.example')).toBe('/');
    expect(safeNext('/good', URL_TEXT)).toBe('/good');
  });

  describe('for any text', () => {
    const pieces = fc.constantFrom(
      ...[
        '/',
        '//',
        '\\',
        '.',
        '..',
        '%2e',
        '%2F',
        '%5c',
        '%25',
        '%',
        '\t',
        '\n',
        '\r',
        '\0',
        ' ',
        '@',
        ':',
        '?',
        '#',
      ],
      ...[
        'evil.example',
        'https:',
        'javascript:',
        'é',
        '／',
        '＼',
        '\u202e',
        '\ud800',
        '%c0%af',
        '[',
        ']',
        '\u00ad',
        "'",
        '"',
      ],
    );
    const lookalike = fc.array(pieces, { maxLength: 12 }).map((each) => each.join(''));
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      lookalike,
      lookalike.map((text) => `/${text}`),
      fc.webUrl(),
      fc.webPath(),
    );
    const options = { numRuns: 1_000 };

    it('stays on this site with each of 28,561 ways to begin a path', () => {
      const letters = ['/', '\\', '.', '%2e', '%2F', '%5c', '%25', '2F', '\t', '@', 'e', '?', ':'];
      const pairs = letters.flatMap((one) => letters.map((other) => one + other));
      const strays = pairs
        .flatMap((one) => pairs.map((other) => `/${one}${other}`))
        .filter((text) => {
          const path = safeNext(text);
          const once = decodeURIComponent(new URL(path, SITE).pathname);
          return [path, once].some((each) => new URL(each, SITE).origin !== SITE);
        });
      expect(strays).toEqual([]);
    });

    it('stays on this site, by HTTPS', () => {
      const check = (text: string) => {
        const { host, protocol, username } = new URL(safeNext(text), SITE);
        expect({ host, protocol, username }).toEqual({
          host: 'shop.example',
          protocol: 'https:',
          username: '',
        });
      };
      fc.assert(fc.property(texts, check), options);
    });

    it('stays here when it is put behind the origin, and when a proxy decodes or tidies it', () => {
      const check = (text: string) => {
        const path = safeNext(text);
        expect(new URL(SITE + path).host).toBe('shop.example');
        const { pathname } = new URL(path, SITE);
        for (const each of [
          pathname,
          decodeURIComponent(pathname),
          decodeURIComponent(pathname).normalize('NFKC'),
        ])
          expect(new URL(each, SITE).host).toBe('shop.example');
      };
      fc.assert(fc.property(texts, check), options);
    });

    it('fits a header and an attribute, and is the same when it is asked again', () => {
      const check = (text: string) => {
        const path = safeNext(text);
        expect(() => validateHeaderValue('Location', path)).not.toThrow();
        expect(path).toMatch(/^\/[!#-&(-;=?-_a-z{-~]*$/);
        expect(safeNext(path)).toBe(path);
      };
      fc.assert(fc.property(texts, check), options);
    });
  });
});
