import type { Session } from 'nest-session';

/** What the pages need of a request, be it Express's or Fastify's. */
export interface ShopRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly url: string;
  readonly session: Session;
}

/** The pages with forms on them. */
const PAGES = new Set([
  ...['/', '/cart', '/session', '/login', '/login/code', '/login/confirm', '/register'],
  ...['/account', '/account/password', '/account/devices', '/account/second-factor'],
]);

/** Programs say `Accept: application/json`. Browsers name text/html, and get pages. */
export function wantsJson({ headers: { accept = '' } }: ShopRequest): boolean {
  return accept.includes('application/json') && !accept.includes('text/html');
}

/** The page that the visitor was on: one of the shop's own, whatever the header says. */
export function pageBefore({ headers: { referer = '' } }: ShopRequest, fallback = '/'): string {
  if (!URL.canParse(referer)) return fallback;
  const { pathname, search } = new URL(referer);
  return PAGES.has(pathname) ? pathname + search : fallback;
}
