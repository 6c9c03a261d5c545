import type { Session } from 'nest-session';

/** What the pages need of a request, be it Express's or Fastify's. */
export interface ShopRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly url: string;
  readonly session: Session;
}

/** Programs say `Accept: application/json`. Browsers name text/html, and get pages. */
export function wantsJson({ headers: { accept = '' } }: ShopRequest): boolean {
  return accept.includes('application/json') && !accept.includes('text/html');
}

/** The page that the visitor was on: one of the shop's own, whatever the header says. */
export function pageBefore({ headers: { referer = '' } }: ShopRequest): string {
  const path = URL.canParse(referer) ? new URL(referer).pathname : '/';
  return ['/cart', '/session'].includes(path) ? path : '/';
}
