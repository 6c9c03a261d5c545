import type { IncomingMessage } from 'node:http';
import { safeNext } from './safe-next.js';

/** Why somebody comes to the login page; nobody's first login needs a reason. */
export type LoginReason = 'expired' | 'second-factor' | 'confirm';

type PageRequest = IncomingMessage & { readonly originalUrl?: string };

/**
 * Where a page that needs a login is sent: the login page, which learns where the visitor was to go (`next`) and why they
 * came (`reason`).
 *
 * @param page the path of the login page; undefined: there is none
 * @returns undefined for what is no page (another method, a program), and for the login page itself
 */
export function loginPageFor(
  request: PageRequest,
  page: string | undefined,
  reason: LoginReason | undefined,
): string | undefined {
  if (page === undefined || !wantsPage(request)) return undefined;
  const here = request.originalUrl ?? request.url ?? '/';
  if (pathOf(here) === pathOf(page)) return undefined; // it is guarded itself: it would be sent in circles
  const [beforeHash, ...hash] = page.split('#');
  const query = new URLSearchParams({ next: safeNext(here), ...(reason && { reason }) });
  const separator = beforeHash.includes('?') ? '&' : '?';
  return [`${beforeHash}${separator}${query.toString()}`, ...hash].join('#');
}

function wantsPage({ method, headers }: PageRequest): boolean {
  return (method === 'GET' || method === 'HEAD') && headers.accept?.includes('text/html') === true;
}

function pathOf(url: string): string {
  return url
    .replace(/[?#].*$/s, '')
    .replace(/(?<=.)\/+$/, '')
    .toLowerCase();
}
