import {
  NotAuthenticatedException,
  ReauthenticationRequiredException,
  SecondFactorRequiredException,
  SessionExpiredException,
} from 'nest-session';
import { pageBefore, type ShopRequest } from './shop-request.js';

const LOGIN_NEEDED = [
  NotAuthenticatedException,
  SessionExpiredException,
  SecondFactorRequiredException,
  ReauthenticationRequiredException,
];

/**
 * Where a browser goes that has to log in first. The framework says so for pages. A form goes back to its page, which
 * needs the same login, and from there on to the login page, which then leads back to a page and not to a form's target.
 *
 * @returns undefined when something else is wrong
 */
export function loginPageFor(exception: unknown, request: ShopRequest): string | undefined {
  if (!LOGIN_NEEDED.some((type) => exception instanceof type)) return undefined;
  const { redirectTo } = exception as { redirectTo?: string };
  return redirectTo ?? pageBefore(request, '/account');
}
