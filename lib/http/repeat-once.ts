import type { IncomingMessage } from 'node:http';
import { isPathOfThisSite } from './path-of-this-site.js';

/** Marks a browser that was sent back to its own URL once, so that it is not sent in circles. */
const REPEATED = 'nest-session-repeated';

/**
 * Where a page that came with an id which was just replaced is sent: back to its own URL, for the browser has the newer
 * cookie by then.
 *
 * @returns undefined for whatever must not be repeated unasked: other methods, programs, and who was sent back already
 */
export function repeatLocation(
  request: IncomingMessage & { readonly originalUrl?: string },
): string | undefined {
  const { method, headers, originalUrl, url = '' } = request;
  if (method !== 'GET' && method !== 'HEAD') return undefined;
  if (!headers.accept?.includes('text/html') || headers.cookie?.includes(`${REPEATED}=`)) return undefined;
  const location = originalUrl ?? url;
  return isPathOfThisSite(location) ? location : undefined;
}

/** The Set-Cookie header that goes with it. */
export function repeatCookie(graceMs: number): string {
  return `${REPEATED}=1; Max-Age=${Math.ceil(graceMs / 1000)}; Path=/; HttpOnly; SameSite=Lax`;
}
