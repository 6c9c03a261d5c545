import { type CustomDecorator, SetMetadata } from '@nestjs/common';

export const CSRF_EXEMPT = 'nest-session:csrf-exempt';

/**
 * Takes a route, or all of a controller, out of the check of cross-site requests: for webhooks and callbacks that other
 * sites send, which prove by a signature or a `state` of their own where they come from. On the method it wins over the
 * class.
 *
 * @example
 * @CsrfExempt() @Post('oauth/callback') callback() {}
 */
export const CsrfExempt = (isExempt = true): CustomDecorator => SetMetadata(CSRF_EXEMPT, isExempt);
