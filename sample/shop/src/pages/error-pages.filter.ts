import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import type { Session } from 'nest-session';
import { type FormPage, Mistake } from '../mistake.js';
import { type Frame, Frames } from './frames.js';
import { loginPageFor } from './login-needed.js';
import { renderPage } from './render-page.js';
import { SeeOther } from './see-other.js';
import { type ShopRequest, wantsJson } from './shop-request.js';

const TEXTS = new Map([
  [401, ['Who is there?', 'That did not tell us who you are. Please log in.']],
  [403, ['Not from there', 'That was sent by a page of somebody else, so we did not take it.']],
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
export class ErrorPages implements ExceptionFilter {
  readonly #logger = new Logger(ErrorPages.name);

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly frames: Frames,
  ) {}

  async catch(exception: unknown, context: ArgumentsHost): Promise<void> {
    const { httpAdapter } = this.host;
    const request = context.switchToHttp().getRequest<ShopRequest>();
    const response = context.switchToHttp().getResponse<object>();
    if (exception instanceof SeeOther) return void httpAdapter.redirect(response, 303, exception.location);
    if (wantsJson(request) || httpAdapter.isHeadersSent(response))
      return new BaseExceptionFilter(httpAdapter).catch(exception, context);
    httpAdapter.setHeader(response, 'Vary', 'Accept');
    const loginPage = loginPageFor(exception, request);
    if (loginPage === undefined) {
      await this.show(exception, request, response).catch((failure: unknown) => {
        new BaseExceptionFilter(httpAdapter).catch(failure, context); // nobody else would: Nest awaits no filter
      });
    } else {
      httpAdapter.redirect(response, 303, loginPage);
    }
  }

  private async show(exception: unknown, request: ShopRequest, response: object): Promise<void> {
    const status = statusOf(exception);
    if (status >= 500) this.#logger.error(exception);
    const { template, model } = pageFor(exception, status);
    const html = await renderPage(response, template, { ...(await this.frameFor(request)), ...model });
    this.host.httpAdapter.setHeader(response, 'Content-Type', 'text/html; charset=utf-8');
    this.host.httpAdapter.reply(response, html, status);
  }

  /** An error page has the visitor's theme, unless their session is the very thing that failed. */
  private async frameFor({ session }: ShopRequest): Promise<Frame & { session?: Session }> {
    try {
      return { session, ...(await this.frames.quietOf(await session.load())) };
    } catch {
      return { theme: 'auto', cartCount: 0 };
    }
  }
}

/** A mistake in a form shows the form again. */
function pageFor(exception: unknown, status: number): FormPage {
  const [title, general] = TEXTS.get(status) ?? (status < 500 ? VISITORS_FAULT : OUR_FAULT);
  if (!(exception instanceof Mistake)) return { template: 'error', model: { status, title, text: general } };
  const { form, message } = exception;
  if (!form) return { template: 'error', model: { status, title, text: message } };
  return { template: form.template, model: { ...form.model, problem: message } };
}

/** Nest's exceptions have it as a method, those of the platforms as a property. */
function statusOf(exception: unknown): number {
  if (exception instanceof HttpException) return exception.getStatus();
  const { statusCode } = Object(exception) as { statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 400 ? statusCode : 500;
}
