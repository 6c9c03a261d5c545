import { createParamDecorator, type ExecutionContext, type PipeTransform, type Type } from '@nestjs/common';
import { SessionUsageError } from '../errors.js';
import { type RawRequest, requestSessionOf } from '../http/request-sessions.js';
import { sessionOf } from '../http/session.decorator.js';

async function currentUser(key: string | undefined, context: ExecutionContext): Promise<unknown> {
  const platformRequest = context.getArgByIndex<RawRequest>(0);
  sessionOf(platformRequest); // makes it, or says what is wrong
  const request = requestSessionOf(platformRequest);
  if (!request?.hasUsers)
    throw new SessionUsageError(
      '@CurrentUser() needs to know users: write auth: { users: AppUsers } beside store.',
    );
  await request.load();
  const user = await request.user;
  return key === undefined ? user : (user as Record<string, unknown> | undefined)?.[key];
}

const userParam = createParamDecorator(currentUser);

/**
 * The user who is logged in, as your `SessionUserProvider` found them; undefined for nobody. Loaded once per request.
 *
 * @param key one of the user's properties: `@CurrentUser('email')`
 * @param pipes as for any parameter decorator of Nest
 */
export function CurrentUser(
  key?: string | Type<PipeTransform> | PipeTransform,
  ...pipes: (Type<PipeTransform> | PipeTransform)[]
): ParameterDecorator {
  const decorate = userParam(key as string, ...pipes);
  return (target, method, index) => {
    if (typeof key !== 'string') hideFromValidation(target, method, index);
    decorate(target, method, index);
  };
}

/** A user comes from the application and not from the visitor: `validateCustomDecorators` is not for them. */
function hideFromValidation(target: object, method: string | symbol | undefined, index: number): void {
  if (method === undefined) return;
  const types: unknown = Reflect.getMetadata('design:paramtypes', target, method);
  if (Array.isArray(types)) types[index] = Object;
}
