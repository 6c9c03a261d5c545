import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { CookieJar } from 'tough-cookie';

/** One request of a navigation, as the server saw it. */
export interface Visit {
  readonly method: string;
  readonly url: string;
  /** The Cookie header. */
  readonly cookie: string;
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly setCookies: readonly string[];
  readonly text: string;
}

/** Who made the browser go somewhere: a page's URL; undefined for the visitor, by hand. */
type Initiator = string | undefined;

const MAX_REDIRECTS = 10;

/**
 * A browser that goes from site to site by links, forms and redirects, and applies SameSite as RFC 6265bis has it: Strict
 * cookies go along when the page that leads there is of the same site, Lax ones also with a GET from elsewhere. Sites are
 * servers of this machine that believe the proxy in front of them.
 */
export class SiteBrowser {
  readonly jar = new CookieJar(undefined, { rejectPublicSuffixes: false });
  /** All requests, in their order. */
  readonly visits: Visit[] = [];

  /** @param servers the base URL of the server behind each host name */
  constructor(private readonly servers: Readonly<Record<string, string>>) {}

  /** What the window shows. */
  get page(): Visit {
    return this.visits[this.visits.length - 1];
  }

  /** Goes to a URL as if the visitor had typed it. */
  open(url: string): Promise<Visit> {
    return this.#navigate('GET', url, undefined);
  }

  /** Sends the form that the page shows, as its script would. */
  submit({ text, url }: Visit = this.page): Promise<Visit> {
    const action = /<form method="post" action="([^"]*)"/.exec(text)?.[1] ?? '';
    const fields = [...text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)];
    const body = new URLSearchParams();
    for (const [, name, value] of fields) body.append(name, unescaped(value));
    return this.post(new URL(unescaped(action), url).href, body, url);
  }

  /** Sends a form of a page; any page may have such a form. */
  post(url: string, body: URLSearchParams, from: string): Promise<Visit> {
    return this.#navigate('POST', url, from, body);
  }

  async cookie(url: string, name: string): Promise<string | undefined> {
    return (await this.jar.getCookies(url)).find(({ key }) => key === name)?.value;
  }

  async #navigate(method: string, url: string, from: Initiator, body?: URLSearchParams): Promise<Visit> {
    let isSameSite = from === undefined;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      isSameSite = from === undefined || ((hop === 0 || isSameSite) && siteOf(from) === siteOf(url));
      const visit = await this.#request(method, url, from, isSameSite, body);
      const { location } = visit.headers;
      if (visit.status < 300 || visit.status > 399 || location === undefined) return visit;
      [method, body] = ['GET', undefined]; // 302 and 303
      url = new URL(location, url).href;
    }
    throw new Error('Too many redirects.');
  }

  async #request(method: string, url: string, from: Initiator, isSameSite: boolean, body?: URLSearchParams) {
    const context = isSameSite ? 'strict' : method === 'GET' ? 'lax' : 'none';
    const cookie = await this.jar.getCookieString(url, { sameSiteContext: context });
    const { host, pathname, search, origin } = new URL(url);
    const headers: Record<string, string> = {
      ...{ host, 'x-forwarded-proto': 'https', accept: 'text/html', cookie },
      'sec-fetch-site': fetchSite(from, origin, isSameSite),
    };
    if (from !== undefined && method !== 'GET') headers.origin = new URL(from).origin;
    if (body) headers['content-type'] = 'application/x-www-form-urlencoded';
    const request = httpRequest(this.servers[host] + pathname + search, { method, headers, agent: false });
    request.end(body?.toString());
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const text = Buffer.concat((await response.toArray()) as Buffer[]).toString();
    const setCookies = response.headers['set-cookie'] ?? [];
    for (const each of setCookies) await this.jar.setCookie(each, url, { ignoreError: true });
    const visit: Visit = {
      method,
      url,
      cookie,
      status: response.statusCode ?? 0,
      headers: response.headers,
      setCookies,
      text,
    };
    this.visits.push(visit);
    return visit;
  }
}

/** Scheme and registrable domain; the hosts here have two labels for it. */
function siteOf(url: string): string {
  const { protocol, hostname } = new URL(url);
  return `${protocol}//${hostname.split('.').slice(-2).join('.')}`;
}

function fetchSite(from: Initiator, origin: string, isSameSite: boolean): string {
  if (from === undefined) return 'none';
  if (!isSameSite) return 'cross-site';
  return new URL(from).origin === origin ? 'same-origin' : 'same-site';
}

function unescaped(text: string): string {
  return text
    .replace(/&quot;/g, '"')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&amp;/g, '&');
}
