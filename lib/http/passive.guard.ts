import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { isPassive } from './passive.decorator.js';
import type { RawRequest, RequestSessions } from './request-sessions.js';

/**
 * Tells the session of a request that its route is `@Passive()`. A guard and the first of all, since the guards behind it
 * may turn the request away after they have loaded the session. Installed only where there are such routes.
 */
export class PassiveGuard implements CanActivate {
  readonly #known = new WeakMap<object, WeakMap<object, boolean>>();

  constructor(private readonly sessions: RequestSessions) {}

  canActivate(context: ExecutionContext): true {
    if (context.getType() !== 'http' || !this.#isPassive(context)) return true;
    const request = context.getArgByIndex<RawRequest & { raw?: RawRequest }>(0);
    this.sessions.of(request.raw ?? request).isPassive = true;
    return true;
  }

  #isPassive(context: ExecutionContext): boolean {
    const [controller, handler] = [context.getClass(), context.getHandler()];
    const known = this.#known.get(controller)?.get(handler);
    if (known !== undefined) return known;
    const found = isPassive(handler, controller);
    const ofController = this.#known.get(controller) ?? new WeakMap<object, boolean>();
    this.#known.set(controller, ofController.set(handler, found));
    return found;
  }
}
