import { type ArgumentsHost, Catch, HttpException, Logger } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { Mistake } from '../mistake.js';
import { type Frame, quietFrameOf } from './frame.js';
import { renderPage } from './render-page.js';
import { SeeOther } from './see-other.js';
import { type ShopRequest, wantsJson } from './shop-request.js';

const TEXTS = new Map([
  [404, ['Nothing brewing here', 'There is no such page, or there is none any more.']],
  [
    409,
    ['That crossed with something else', 'Your session changed meanwhile. Please go back and try again.'],
  ],
  [503, ['The kettle is empty', 'We cannot reach your session at the moment. Please try again in a minute.']],
]);
const VISITORS_FAULT = [
  'That did not work',
  'We could not make sense of that. Please go back and try again.',
];
const OUR_FAULT = ['We spilled something', 'That was our mistake, not yours. Please try again.'];

/** Errors as pages for browsers; programs get them as Nest sends them. */
@Catch()
export class ErrorPages extends BaseExceptionFilter {
  readonly #logger = new Logger(ErrorPages.name);

  override async catch(exception: unknown, host: ArgumentsHost): Promise<void> {
    const http = host.switchToHttp();
    const adapter = this.httpAdapterHost!.httpAdapter;
    const response = http.getResponse<object>();

    if (exception instanceof SeeOther) return adapter.redirect(response, 303, exception.location) as void;
    const request = http.getRequest<ShopRequest>();
    if (wantsJson(request) || adapter.isHeadersSent(response)) return super.catch(exception, host);

    const status = statusOf(exception);
    if (status >= 500) this.#logger.error(exception);
    const [title, general] = TEXTS.get(status) ?? (status < 500 ? VISITORS_FAULT : OUR_FAULT);
    const text = exception instanceof Mistake ? exception.message : general;
    const html = await renderPage(response, 'error', { ...(await frameFor(request)), status, title, text });
    adapter.setHeader(response, 'Content-Type', 'text/html; charset=utf-8');
    adapter.reply(response, html, status);
  }
}

/** Nest's exceptions have it as a method, those of the platforms as a property. */
function statusOf(exception: unknown): number {
  if (exception instanceof HttpException) return exception.getStatus();
  const { statusCode } = Object(exception) as { statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 400 ? statusCode : 500;
}

/** An error page has the visitor's theme, unless their session is the very thing that failed. */
async function frameFor({ session }: ShopRequest): Promise<Frame> {
  try {
    return quietFrameOf(await session.load());
  } catch {
    return { theme: 'auto', cartCount: 0 };
  }
}
