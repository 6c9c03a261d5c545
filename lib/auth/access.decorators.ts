import { SetMetadata, UseGuards } from '@nestjs/common';
import { ACCESS, type AuthenticatedOptions, markOf } from './access-rule.js';
import { SessionGuard } from './session.guard.js';

// Nest's own metadata (@nestjs/common/constants); its modules of constants are no public entry.
const GUARDS = '__guards__';

/**
 * Needs a login: for a route, or for all of a controller.
 *
 * The route's mark wins over the controller's, option by option: `@Authenticated({ level: 2 })` in a controller with
 * `@Authenticated({ within: '10m' })` asks for both, `@Public()` for nothing. Other guards of the same place run after
 * it, wherever they are written, and find the user as `request.user`.
 *
 * @example
 * @Get('account') @Authenticated() account(@CurrentUser() user: User) {}
 * @Post('transfer') @Authenticated({ within: '10m' }) transfer() {}
 */
export function Authenticated(options: AuthenticatedOptions = {}): ClassDecorator & MethodDecorator {
  const mark = SetMetadata(ACCESS, markOf(options));
  return ((target: object, name?: string | symbol, descriptor?: TypedPropertyDescriptor<unknown>) => {
    mark(target as never, name as never, descriptor as never);
    guardFirst((descriptor?.value as object | undefined) ?? target);
  }) as ClassDecorator & MethodDecorator;
}

/** Open to everybody: where the controller is `@Authenticated()`, or `auth.required` closes all routes. */
export const Public = (): ClassDecorator & MethodDecorator => SetMetadata(ACCESS, 'public');

/** Decorators apply from the bottom up, so that a guard of roles that is written below would run before there is a user. */
function guardFirst(target: object): void {
  const others = (Reflect.getMetadata(GUARDS, target) as unknown[] | undefined) ?? [];
  UseGuards(SessionGuard)(target as never);
  Reflect.defineMetadata(GUARDS, [SessionGuard, ...others.filter((guard) => guard !== SessionGuard)], target);
}
