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
/** `RouteParamtypes.SESSION`: a parameter with Nest's own `@Session()`. */
const NEST_SESSION_ARGUMENT = /^7:/;

/** What a route needs before its handler runs, read from its decorators once. */
type Preparation = 'nothing' | 'session' | 'view';

/**
 * Commits the session where the handler has succeeded, before Nest sends the answer, so that a failed save reaches the
 * exception filters. What happens later, or without a handler, is the barrier's (response-barrier.ts).
 */
@Injectable()
export class SessionInterceptor implements NestInterceptor {
  readonly #preparations = new WeakMap<object, Preparation>();

  constructor(@Inject(RequestSessions) private readonly sessions: RequestSessions) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http') return next.handle();
    const http = context.switchToHttp();
    const request = http.getRequest<RawRequest & { raw?: RawRequest }>();
    const raw = request.raw ?? request;
    const preparation = this.#preparationOf(context);
    if (preparation === 'nothing') return this.#commitAfter(raw, next);
    return defer(() => from(this.#prepare(preparation, raw, http.getResponse<object>()))).pipe(
      concatMap(() => this.#commitAfter(raw, next)),
    );
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

  async #prepare(preparation: Preparation, raw: RawRequest, response: object): Promise<void> {
    const session = this.sessions.of(raw);
    if (preparation === 'session') {
      await session.load();
    } else if (session.state || session.hasValidCookie) {
      await session.loadForView();
      showToViews(response, session.session as never);
    }
  }

  #preparationOf(context: ExecutionContext): Preparation {
    const handler = context.getHandler();
    const known = this.#preparations.get(handler);
    if (known) return known;
    const preparation = preparationOf(handler, context.getClass());
    this.#preparations.set(handler, preparation);
    return preparation;
  }
}

/** The response is on its way already, or its status says that nothing will be kept. */
function isLeftToTheBarrier(session: RequestSession): boolean {
  return session.hasBegun || session.status >= 500;
}

function preparationOf(handler: { readonly name: string }, controller: object): Preparation {
  const parameters: unknown = Reflect.getMetadata(ROUTE_ARGUMENTS, controller, handler.name);
  if (Object.keys(Object(parameters) as object).some((key) => NEST_SESSION_ARGUMENT.test(key)))
    return 'session';
  return Reflect.hasMetadata(RENDER_TEMPLATE, handler) ? 'view' : 'nothing';
}
