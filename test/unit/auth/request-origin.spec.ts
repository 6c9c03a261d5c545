import { requestOrigin, type RequestOrigin } from '../../../lib/auth/csrf/request-origin.js';

const TRUSTED = 'https://partner.example';
const trusted = new Set([TRUSTED, 'capacitor://localhost']);
const OWN = 'https://shop.example';

type Row = [expected: RequestOrigin, headers: Record<string, string>, why: string];

/** Go 1.25, net/http, CrossOriginProtection; `shop.example` is the host where a row names no other. */
const rows: Row[] = [
  ['own', { 'sec-fetch-site': 'same-origin' }, 'a page of this origin'],
  ['own', { 'sec-fetch-site': 'none' }, 'the visitor, by hand or from a bookmark'],
  [
    'own',
    { 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' },
    'Sec-Fetch-Site counts where it came',
  ],
  ['own', { 'sec-fetch-site': 'same-origin', origin: 'null' }, 'a page that hides its origin'],
  ['own', { 'sec-fetch-site': 'none', origin: 'null' }, 'by hand, in a sandbox'],

  ['foreign', { 'sec-fetch-site': 'same-site' }, 'a page of a sub-domain'],
  [
    'foreign',
    { 'sec-fetch-site': 'same-site', origin: OWN },
    'this host by another scheme: its origin is not asked',
  ],
  ['own', { 'sec-fetch-site': 'same-site', origin: TRUSTED }, 'a trusted origin on the same site'],
  ['foreign', { 'sec-fetch-site': 'cross-site' }, 'a page elsewhere'],
  ['foreign', { 'sec-fetch-site': 'cross-site', origin: OWN }, 'a page elsewhere that claims to be here'],
  ['foreign', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }, 'a stranger'],
  ['foreign', { 'sec-fetch-site': 'cross-site', origin: 'null' }, 'a stranger in a sandbox'],
  ['own', { 'sec-fetch-site': 'cross-site', origin: TRUSTED }, 'a trusted origin elsewhere'],
  ['own', { 'sec-fetch-site': 'cross-site', origin: 'capacitor://localhost' }, 'a trusted app'],
  [
    'foreign',
    { 'sec-fetch-site': 'cross-site', origin: `${TRUSTED}:8443` },
    'another port of a trusted host',
  ],
  ['foreign', { 'sec-fetch-site': 'cross-site', origin: 'http://partner.example' }, 'another scheme of one'],
  [
    'foreign',
    { 'sec-fetch-site': 'cross-site', origin: `${TRUSTED}.evil.example` },
    'a name that begins like one',
  ],
  ['foreign', { 'sec-fetch-site': 'cross-site', origin: 'https://a.partner.example' }, 'a sub-domain of one'],
  ['foreign', { 'sec-fetch-site': 'cross-site', origin: `${TRUSTED}, ${TRUSTED}` }, 'two Origin headers'],
  ['foreign', { 'sec-fetch-site': 'Same-Origin' }, 'a value that no browser sends'],
  ['foreign', { 'sec-fetch-site': 'same-origin, same-origin' }, 'two Sec-Fetch-Site headers'],
  ['foreign', { 'sec-fetch-site': 'something-new' }, 'a value of the future'],

  ['own', { origin: OWN }, 'an old browser, this host'],
  ['own', { origin: 'http://shop.example' }, 'an old browser, this host by plain HTTP'],
  ['own', { origin: OWN, 'sec-fetch-site': '' }, 'an empty Sec-Fetch-Site is none'],
  ['own', { origin: TRUSTED }, 'an old browser, a trusted origin'],
  ['own', { origin: 'https://shop.example:8443', host: 'shop.example:8443' }, 'the same port'],
  ['own', { origin: OWN, host: 'SHOP.example' }, 'a host in capitals'],
  ['own', { origin: OWN, host: 'shop.example:443' }, 'a proxy that adds the default port'],
  [
    'own',
    { origin: 'http://shop.example', host: 'shop.example:80' },
    'a proxy that adds the default port of HTTP',
  ],
  ['own', { origin: 'http://[::1]:3000', host: '[::1]:3000' }, 'an address'],
  ['own', { origin: OWN, host: 'inside:3000', ':authority': 'shop.example' }, 'HTTP/2, which has no Host'],
  ['foreign', { origin: OWN, host: 'shop.example', ':authority': 'other.example' }, 'HTTP/2, another host'],
  ['foreign', { origin: 'https://evil.example' }, 'an old browser, a stranger'],
  ['foreign', { origin: 'null' }, 'an old browser that hides the origin'],
  ['foreign', { origin: 'null', host: 'null' }, 'a host that is called null'],
  ['foreign', { origin: 'https://shop.example:8443' }, 'another port'],
  ['foreign', { origin: OWN, host: 'shop.example:8443' }, 'this host without its port'],
  [
    'foreign',
    { origin: 'https://shop.example:80', host: 'shop.example' },
    'the default port of the other scheme',
  ],
  ['foreign', { origin: 'http://shop.example', host: 'shop.example:443' }, 'the other way round'],
  ['foreign', { origin: 'https://shop.example.evil.example' }, 'a host that begins like this one'],
  ['foreign', { origin: 'https://evilshop.example' }, 'a host that ends like this one'],
  ['foreign', { origin: 'https://evil.example/https://shop.example' }, 'this one in a path'],
  ['foreign', { origin: 'https://shop.example@evil.example' }, 'this one as a user name'],
  ['foreign', { origin: 'https://user@shop.example' }, 'a user name'],
  ['foreign', { origin: `${OWN}/` }, 'an origin with a path, which no browser sends'],
  ['foreign', { origin: 'shop.example' }, 'an origin without a scheme'],
  ['foreign', { origin: '//shop.example' }, 'an origin without a scheme, with slashes'],
  ['foreign', { origin: 'ftp://shop.example' }, 'a scheme that is not ours'],
  ['foreign', { origin: `${OWN}, https://evil.example` }, 'two Origin headers'],
  ['foreign', { origin: 'https://' }, 'no host'],
  ['foreign', { origin: 'https://', host: '' }, 'no host, and none here'],
  ['foreign', { origin: 'http://%zz', host: 'shop.example' }, 'no URL at all'],

  ['unknown', {}, 'a program, or a very old browser'],
  ['unknown', { 'sec-fetch-site': '', origin: '' }, 'both empty'],
  ['unknown', { referer: 'https://evil.example/' }, 'a Referer is not asked'],
  [
    'foreign',
    { origin: OWN, host: 'inside:3000', 'x-forwarded-host': 'shop.example' },
    'X-Forwarded-Host is not asked',
  ],
];

describe('requestOrigin', () => {
  it.each(rows)('%s: %j (%s)', (expected, headers) => {
    expect(requestOrigin({ host: 'shop.example', ...headers }, trusted)).toBe(expected);
  });

  it('trusts nobody where nobody is named', () => {
    expect(requestOrigin({ origin: TRUSTED, host: 'shop.example' }, new Set())).toBe('foreign');
  });

  it('calls a request without a host foreign when it has an origin', () => {
    expect(requestOrigin({ origin: OWN }, trusted)).toBe('foreign');
  });
});
