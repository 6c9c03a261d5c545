import { SetMetadata } from '@nestjs/common';
import { markableTargetsOf } from './markable-targets.js';

/** The name of the mark in a route's metadata; a text, for both builds of the package. */
const PASSIVE = 'nest-session.passive';

/**
 * For a route, or all routes of a controller, that pages ask by themselves (polling, prefetching): nobody is there, so that
 * the idle deadline of the session stays where it is, whatever the request reads or saves.
 *
 * The route's mark wins over the controller's: `@Passive(false)` takes it back. What a program asks for holds all the
 * same: a login begins both deadlines anew, and `setExpiry` counts from now.
 *
 * @example
 * @Get('notifications') @Passive() notifications(@Session() session: Session) {}
 */
export const Passive = (isPassive = true): ClassDecorator & MethodDecorator =>
  SetMetadata(PASSIVE, isPassive);

/** Whether a route is passive, by its own mark or its controller's. */
export function isPassive(handler: object, controller: object): boolean {
  return markOn(handler) ?? markOn(controller) ?? false;
}

/** Whether a controller has a passive route at all. */
export function hasPassiveRoutes(controller: { readonly prototype: object }): boolean {
  return markableTargetsOf(controller).some(markOn);
}

const markOn = (target: object) => Reflect.getMetadata(PASSIVE, target) as boolean | undefined;
