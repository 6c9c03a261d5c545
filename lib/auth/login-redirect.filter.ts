import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import { BaseExceptionFilter, type HttpAdapterHost } from '@nestjs/core';
import {
  LevelRequiredException,
  NotAuthenticatedException,
  ReauthenticationRequiredException,
  SecondFactorRequiredException,
  SessionExpiredException,
} from '../errors.js';

/**
 * Sends a page that needs a login to the login page. Nest asks it after all filters of the application, so that one of
 * theirs for the same exceptions wins; such a filter finds the page in `exception.redirectTo`.
 */
@Catch(
  NotAuthenticatedException,
  SessionExpiredException,
  SecondFactorRequiredException,
  LevelRequiredException,
  ReauthenticationRequiredException,
)
export class LoginRedirectFilter implements ExceptionFilter {
  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(exception: { readonly redirectTo?: string }, host: ArgumentsHost): void {
    const { redirectTo } = exception;
    const { httpAdapter } = this.adapterHost;
    if (redirectTo === undefined || host.getType() !== 'http')
      return new BaseExceptionFilter(httpAdapter).catch(exception, host);
    httpAdapter.redirect(host.switchToHttp().getResponse(), 302, redirectTo);
  }
}
