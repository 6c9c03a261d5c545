import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { concatMap, defer, from, type Observable, of } from 'rxjs';
import type { RequestSession } from './request-session.js';
import { type RawRequest, RequestSessions } from './request-sessions.js';
import { showToViews } from './view-locals.js';

// Nest's own metadata (@nestjs/common/constants); its modules of constants are no public entry.
const ROUTE_ARGUMENTS = '__routeArguments__';
const RENDER_TEMPLATE = '__renderTemplate__';
const RESPONSE_PASSTHROUGH = '__responsePassthrough__';
/** Routes that Nest answers although they take the response. */
const ANSWERED_BY_NEST = [RENDER_TEMPLATE, '__redirect__', '__sse__'];
/** `RouteParamtypes.SESSION`: a parameter with Nest's own `@Session()`. */
const NEST_SESSION_ARGUMENT = /^7:/;
/** `RouteParamtypes.RESPONSE` and `NEXT`: `@Res()` and `@Next()`. */
const RESPONSE_ARGUMENT = /^[12]:/;

/** What a route asks of the session, read from its decorators once. */
interface RouteNeeds {
  /** What is loaded before the handler runs. */
  readonly load: 'nothing' | 'session' | 'view';
  /**
   * The handler answers by itself (`@Res()`), maybe after it returned: the barrier commits, as it would for any answer,
   * and a failed save takes that answer's place. An exception filter would answer beside it.
   */
  readonly answersItself: boolean;
}

/**
 * Commits the session where the handler has succeeded, before Nest sends the answer, so that a failed save reaches the
 * exception filters. What happens later, or without a handler, is the barrier's (response-barrier.ts).
 */
@Injectable()
export class SessionInterceptor implements NestInterceptor {
  readonly #needs = new WeakMap<object, RouteNeeds>();

  constructor(@Inject(RequestSessions) private readonly sessions: RequestSessions) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http') return next.handle();
    const http = context.switchToHttp();
    const request = http.getRequest<RawRequest & { raw?: RawRequest }>();
    const raw = request.raw ?? request;
    const { load, answersItself } = this.#needsOf(context);
    const handle = () => (answersItself ? next.handle() : this.#commitAfter(raw, next));
    if (load === 'nothing') return handle();
    return defer(() => from(this.#load(load, raw, http.getResponse<object>()))).pipe(concatMap(handle));
  }

  #commitAfter(raw: RawRequest, next: CallHandler): Observable<unknown> {
    // concatMap and not mergeMap: the events of an SSE route keep their order.
    return next.handle().pipe(
      concatMap((value: unknown) => {
        const session = this.sessions.peek(raw);
        if (!session || isLeftToTheBarrier(session)) return of(value);
        return session.commitForHandler().then(() => value);
      }),
    );
  }

  async #load(load: 'session' | 'view', raw: RawRequest, response: object): Promise<void> {
    const session = this.sessions.of(raw);
    if (load === 'session') {
      await session.load();
    } else if (session.state || session.hasValidCookie) {
      await session.loadForView();
      showToViews(response, session.session as never);
    }
  }

  #needsOf(context: ExecutionContext): RouteNeeds {
    const handler = context.getHandler();
    const known = this.#needs.get(handler);
    if (known) return known;
    const needs = needsOf(handler, context.getClass());
    this.#needs.set(handler, needs);
    return needs;
  }
}

/** The response is on its way already, or its status says that nothing will be kept. */
function isLeftToTheBarrier(session: RequestSession): boolean {
  return session.hasBegun || session.status >= 500;
}

function needsOf(handler: { readonly name: string }, controller: object): RouteNeeds {
  const parameters: unknown = Reflect.getMetadata(ROUTE_ARGUMENTS, controller, handler.name);
  const types = Object.keys(Object(parameters) as object);
  const takesResponse =
    types.some((type) => RESPONSE_ARGUMENT.test(type)) &&
    !Reflect.getMetadata(RESPONSE_PASSTHROUGH, controller, handler.name);
  const answersItself = takesResponse && !ANSWERED_BY_NEST.some((name) => Reflect.hasMetadata(name, handler));
  if (types.some((type) => NEST_SESSION_ARGUMENT.test(type))) return { load: 'session', answersItself };
  return { load: Reflect.hasMetadata(RENDER_TEMPLATE, handler) ? 'view' : 'nothing', answersItself };
}
