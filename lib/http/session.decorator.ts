import { createParamDecorator, type ExecutionContext, type PipeTransform, type Type } from '@nestjs/common';
import {
  isLoaded,
  type Session as SessionInterface,
  type SessionData,
  SessionView,
} from '../core/session.js';
import { SessionUsageError } from '../errors.js';
import { showToViews } from './view-locals.js';

/**
 * The session of the visitor. As a type: `Session`, `Session<MyData>`. As a decorator: `@Session()` gives the session,
 * loaded; `@Session('cart')` one of its values.
 */
export interface Session<T extends object = SessionData> extends SessionInterface<T> {}

/** Runs after the interceptor has loaded the session; elsewhere (another kind of context) it waits itself. */
const parameterOf = (key: string | undefined, context: ExecutionContext): unknown => {
  const session = sessionOf(context.getArgByIndex<object>(0));
  const parameter = () => {
    showToViews(context.getArgByIndex<object>(1), session);
    return key === undefined ? session : (session as unknown as { get(key: string): unknown }).get(key);
  };
  return isLoaded(session) ? parameter() : session.load().then(parameter);
};

const sessionParam = createParamDecorator(parameterOf);

/** Whether an entry of Nest's route metadata was made by our decorator. */
export function isSessionParameter(parameter: unknown): boolean {
  return (parameter as { factory?: unknown } | undefined)?.factory === parameterOf;
}

/**
 * @param key the name of one value; the whole session without it
 * @param pipes as for any parameter decorator of Nest
 */
export function Session(
  key?: string | Type<PipeTransform> | PipeTransform,
  ...pipes: (Type<PipeTransform> | PipeTransform)[]
): ParameterDecorator {
  const decorate = sessionParam(key as string, ...pipes);
  return (target, method, index) => {
    hideFromValidation(target, method, index);
    decorate(target, method, index);
  };
}

/** The session on a platform's request, before it is loaded. */
export function sessionOf(request: object): SessionInterface {
  const { session } = request as { session?: unknown };
  if (isSession(session)) return session;
  throw new SessionUsageError(
    session === undefined || session === null
      ? 'There is no session on this request: import SessionModule.forRoot() in the root module.'
      : 'Another session library has put its own session on this request: remove it where nest-session is used.',
  );
}

/** Also the session of the other build of the package. */
function isSession(value: unknown): value is SessionInterface {
  if (value instanceof SessionView) return true;
  return (value as { constructor?: { name?: string } } | undefined)?.constructor?.name === SessionView.name;
}

/**
 * The decorator and the type share a name, so that the compiler writes the decorator into `design:paramtypes`, and a
 * ValidationPipe with `validateCustomDecorators` takes it for the class of a DTO.
 */
function hideFromValidation(target: object, method: string | symbol | undefined, index: number): void {
  if (method === undefined) return;
  const types: unknown = Reflect.getMetadata('design:paramtypes', target, method);
  if (Array.isArray(types) && types[index] === Session) types[index] = Object;
}
