import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import type { Observable } from 'rxjs';
import { commitEach } from './commit-each.js';
import { type RawRequest, RequestSessions } from './request-sessions.js';
import { isSessionParameter } from './session.decorator.js';
import { showToViews, showUserToViews } from './view-locals.js';

// Nest's own metadata (@nestjs/common/constants); its modules of constants are no public entry.
const ROUTE_ARGUMENTS = '__routeArguments__';
const RENDER_TEMPLATE = '__renderTemplate__';
/** `RouteParamtypes.SESSION`: a parameter with Nest's own `@Session()`. */
const NEST_SESSION_ARGUMENT = /^7:/;

/**
 * What a route needs before its handler runs, read from its decorators once: the session, or what a template shows of
 * it; `page`: both.
 */
type Preparation = 'nothing' | 'session' | 'view' | 'page';

/**
 * Commits the session where the handler has succeeded, before Nest sends the answer, so that a failed save reaches the
 * exception filters. What happens later, or without a handler, is the barrier's (response-barrier.ts).
 */
@Injectable()
export class SessionInterceptor implements NestInterceptor {
  readonly #preparations = new WeakMap<object, Preparation>();

  constructor(@Inject(RequestSessions) private readonly sessions: RequestSessions) {}

  intercept(
    context: ExecutionContext,
    next: CallHandler,
  ): Observable<unknown> | Promise<Observable<unknown>> {
    if (context.getType() !== 'http') return next.handle();
    const request = context.getArgByIndex<RawRequest & { raw?: RawRequest }>(0);
    const raw = request.raw ?? request;
    const preparation = this.#preparationOf(context);
    switch (preparation) {
      case 'session': {
        // Loaded here, once, so that parameters need not wait one by one.
        const loading = this.sessions.of(raw).load();
        return loading ? loading.then(() => this.#commitAfter(raw, next)) : this.#commitAfter(raw, next);
      }
      case 'page':
      case 'view':
        return this.#prepareView(raw, context, preparation).then(() => this.#commitAfter(raw, next));
      case 'nothing':
        return this.#commitAfter(raw, next);
    }
  }

  #commitAfter(raw: RawRequest, next: CallHandler): Observable<unknown> {
    return commitEach(next.handle(), () => this.sessions.peek(raw)?.commitForHandler());
  }

  async #prepareView(
    raw: RawRequest,
    context: ExecutionContext,
    preparation: 'view' | 'page',
  ): Promise<void> {
    const session = this.sessions.of(raw);
    // Without a cookie this asks no store: a first visitor's page has an empty session.
    await (preparation === 'page' ? session.load() : session.loadForView());
    const response = context.switchToHttp().getResponse<object>();
    showToViews(response, session.session as never);
    await session.user; // loads it: a template cannot wait
    showUserToViews(response, session);
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

type Method = { readonly name: string };

function preparationOf(handler: Method, controller: Type): Preparation {
  const metadata: unknown = Reflect.getMetadata(ROUTE_ARGUMENTS, controller, nameOf(handler, controller));
  const parameters = Object.entries(Object(metadata) as object);
  const rendersView = Reflect.hasMetadata(RENDER_TEMPLATE, handler);
  if (parameters.some(([key, parameter]) => NEST_SESSION_ARGUMENT.test(key) || isSessionParameter(parameter)))
    return rendersView ? 'page' : 'session';
  return rendersView ? 'view' : 'nothing';
}

/**
 * The name under which a controller has a method, and Nest its parameters: a decorator that wraps the method puts a
 * function of another name in its place.
 */
function nameOf(handler: Method, controller: Type): string | symbol {
  for (
    let each = controller.prototype as object | null;
    each;
    each = Object.getPrototypeOf(each) as object | null
  )
    for (const name of Reflect.ownKeys(each))
      if (Object.getOwnPropertyDescriptor(each, name)?.value === handler) return name;
  return handler.name.replace(/^bound /, ''); // one that was bound to its object
}
