import { CookieJar } from 'tough-cookie';

export interface Answer {
  status: number;
  headers: Headers;
  setCookies: string[];
  text: string;
  json<T = Record<string, unknown>>(): T;
}

/** A visitor with a cookie jar of its own; redirects are not followed. */
export class Browser {
  readonly jar = new CookieJar(undefined, { rejectPublicSuffixes: false });

  constructor(readonly origin: string) {}

  async request(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
    const url = this.origin + path;
    const cookie = await this.jar.getCookieString(url);
    const headers = new Headers(init.headers);
    if (cookie && !headers.has('cookie')) headers.set('cookie', cookie);
    const response = await fetch(url, { redirect: 'manual', ...init, method, headers });
    const setCookies = response.headers.getSetCookie();
    for (const each of setCookies) await this.jar.setCookie(each, url, { ignoreError: true }); // as browsers do

    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      setCookies,
      text,
      json: <T>() => JSON.parse(text) as T,
    };
  }

  get(path: string, headers?: Record<string, string>): Promise<Answer> {
    return this.request('GET', path, { headers });
  }

  post(path: string, headers?: Record<string, string>): Promise<Answer> {
    return this.request('POST', path, { headers });
  }

  /** The value of a cookie, as the jar would send it. */
  async cookie(name: string): Promise<string | undefined> {
    const cookies = await this.jar.getCookies(`${this.origin}/`);
    return cookies.find(({ key }) => key === name)?.value;
  }
}
