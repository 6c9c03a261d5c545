import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { HttpAdapterHost, Reflector } from '@nestjs/core';
import { concatMap, type Observable } from 'rxjs';
import { Frames } from './frames.js';
import { PAGE, type PageMetadata } from './page-metadata.js';
import { renderPage } from './render-page.js';
import { SeeOther } from './see-other.js';
import { pageBefore, type ShopRequest, wantsJson } from './shop-request.js';

@Injectable()
export class PageInterceptor implements NestInterceptor {
  constructor(
    private readonly reflector: Reflector,
    private readonly host: HttpAdapterHost,
    private readonly frames: Frames,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler<object | undefined>): Observable<unknown> {
    return next.handle().pipe(concatMap((model) => this.answer(context, model)));
  }

  private async answer(context: ExecutionContext, model: object | undefined): Promise<unknown> {
    const page = this.reflector.get<PageMetadata>(PAGE, context.getHandler());
    const request = context.switchToHttp().getRequest<ShopRequest>();
    const response = context.switchToHttp().getResponse<object>();
    const { session } = request;

    this.host.httpAdapter.setHeader(response, 'Vary', 'Accept');
    if (wantsJson(request)) return { ...(await this.frames.of(session)), ...model };
    if (page.template) {
      this.host.httpAdapter.setHeader(response, 'Content-Type', 'text/html; charset=utf-8');
      return renderPage(response, page.template, { session, ...(await this.frames.of(session)), ...model });
    }
    // Here, so that a failure still gets the shop's own error page. Where nothing changed, a save would begin a session.
    if (session.modified) await session.save();
    throw new SeeOther(nextPageOf(page, model, request));
  }
}

function nextPageOf({ next }: PageMetadata, model: object | undefined, request: ShopRequest): string {
  if (next === 'next') return (model as { next: string }).next;
  return next?.startsWith('/') ? next : pageBefore(request);
}
