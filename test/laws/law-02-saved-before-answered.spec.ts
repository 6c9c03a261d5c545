import { jest } from '@jest/globals';
import { Readable } from 'node:stream';
import {
  ArgumentsHost,
  BadRequestException,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  ExecutionContext,
  Get,
  HttpCode,
  Injectable,
  Logger,
  Query,
  Redirect,
  Render,
  Res,
  Sse,
  StreamableFile,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { Session, SessionEvents, SessionStore } from 'nest-session';
import { from } from 'rxjs';
import { Browser } from '../support/browser.js';
import type { PlatformName } from '../support/http-app.js';
import { describeLaw, failing, gate, hanging, isPending, once, withResolvers } from '../support/laws.js';
import { useViews } from '../support/views.js';

type Data = Session<{ at: string }>;
interface AnyResponse {
  status(code: number): AnyResponse;
  send(body: unknown): unknown;
  raw?: NodeJS.WritableStream & { writeHead(status: number): void };
}

@Injectable()
class WritingGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const session = await context.switchToHttp().getRequest<{ session: Data }>().session.load();
    session.set('at', 'guard');
    return false;
  }
}

@Catch(BadRequestException)
class WritingFilter implements ExceptionFilter {
  async catch(_: BadRequestException, host: ArgumentsHost): Promise<void> {
    const session = await host.switchToHttp().getRequest<{ session: Data }>().session.load();
    session.set('at', 'filter');
    host.switchToHttp().getResponse<AnyResponse>().status(400).send({ answered: 'by the filter' });
  }
}

@Controller()
class Pages {
  @Get('unused')
  unused() {
    return 'a page';
  }

  @Get('value')
  value(@Session() session: Data) {
    session.set('at', 'value');
    return { answered: true };
  }

  @Get('redirect')
  @Redirect('/elsewhere')
  redirect(@Session() session: Data) {
    session.set('at', 'redirect');
  }

  @Get('view')
  @Render('greeting')
  view(@Session() session: Data) {
    session.set('at', 'view');
    return { name: 'Ada' };
  }

  @Get('stream')
  stream(@Session() session: Data) {
    session.set('at', 'stream');
    return new StreamableFile(Readable.from(['one ', 'two ', 'three']));
  }

  @Sse('sse')
  sse(@Session() session: Data) {
    session.set('at', 'sse');
    return from([{ data: 'one' }, { data: 'two' }, { data: 'three' }]);
  }

  @Get('res')
  res(@Session() session: Data, @Res() response: AnyResponse) {
    session.set('at', 'res');
    response.status(200).send({ answered: true });
  }

  @Get('raw')
  raw(@Session() session: Data, @Res() response: AnyResponse & { hijack?(): void }) {
    session.set('at', 'raw');
    response.hijack?.();
    const raw = (response.raw ?? response) as unknown as {
      write(text: string): void;
      end(text: string): void;
    };
    raw.write('one ');
    raw.end('two');
  }

  @Get('exception')
  exception(@Session() session: Data) {
    session.set('at', 'exception');
    throw new BadRequestException();
  }

  @Get('guard')
  @UseGuards(WritingGuard)
  guard() {
    return {};
  }

  @Get('filter')
  @UseFilters(WritingFilter)
  filter() {
    throw new BadRequestException();
  }

  @Get('no-content')
  @HttpCode(204)
  noContent(@Session() session: Data) {
    session.set('at', 'no-content');
  }

  /** Changes the session when the first event has arrived. */
  @Sse('sse-late')
  sseLate(@Session() session: Data, @Query('save') save?: string) {
    session.set('at', 'start');
    return from(
      this.#twoEvents(async () => {
        session.set('at', 'late');
        if (save) await session.save();
        return 'two';
      }),
    );
  }

  /** Starts a session when the first event has arrived. */
  @Sse('sse-start')
  sseStart(@Session() session: Data) {
    return from(
      this.#twoEvents(async () => {
        session.set('at', 'too late for a cookie');
        const code = await session.save().catch((error: { code: string }) => error.code);
        session.clear();
        return String(code);
      }),
    );
  }

  async *#twoEvents(second: () => Promise<string>) {
    yield { data: 'one' };
    await firstEventArrived.promise;
    yield { data: await second() };
  }

  @Get('read')
  read(@Session('at') at: string | undefined) {
    return { at };
  }
}

/** Writes to the session of requests that no route answers. */
function writeOnMissingPages(app: INestApplication, platform: PlatformName): void {
  const write = async (request: { session: Data; url: string }) => {
    if (request.url === '/missing') (await request.session.load()).set('at', 'missing');
  };
  if (platform === 'express') {
    app.use((request: never, _: unknown, next: (error?: unknown) => void) => {
      write(request).then(() => next(), next);
    });
  } else {
    const fastify = app.getHttpAdapter().getInstance() as { addHook(name: string, hook: unknown): void };
    fastify.addHook('preHandler', write);
  }
}

let firstEventArrived = withResolvers<void>();

/** Reads an event stream, and tells the handler when the first event is there. */
async function readEvents(visitor: Browser, path: string): Promise<string> {
  firstEventArrived = withResolvers<void>();
  const response = await fetch(visitor.origin + path);
  for (const each of response.headers.getSetCookie()) await visitor.jar.setCookie(each, visitor.origin);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk);
    if (text.includes('data: one')) firstEventArrived.resolve();
  }
  return text;
}

const KINDS = [
  ['a returned value', '/value', 200],
  ['a redirect', '/redirect', 302],
  ['a view', '/view', 200],
  ['a stream', '/stream', 200],
  ['server-sent events', '/sse', 200],
  ['@Res()', '/res', 200],
  ['the raw response', '/raw', 200],
  ['an exception', '/exception', 400],
  ['a rejecting guard', '/guard', 403],
  ['a filter', '/filter', 400],
  ['an answer without content', '/no-content', 204],
  ['a 404', '/missing', 404],
] as const;

const options = {
  controllers: [Pages],
  setUp: async (app: INestApplication, platform: PlatformName) => {
    await useViews(app, platform, { greeting: '<p>Hello <%= name %></p>' });
    writeOnMissingPages(app, platform);
  },
};

describeLaw('law 2: saved before answered', options, (law) => {
  it.each(KINDS)('%s waits for the save', async (_, path, status) => {
    const visitor = law.visitor();
    const save = gate(law.store, 'create');
    const answering = visitor.get(path);
    await save.reached;
    expect(await isPending(answering, law.visitor())).toBe(true);
    save.open();
    const answer = await answering;
    expect(answer.status).toBe(status);
    expect(answer.setCookies).toHaveLength(1);
    expect((await visitor.get('/read')).json()).toEqual({ at: path.slice(1) });
  });

  it.each(KINDS)('%s becomes a 503 without a cookie when the save fails', async (_, path) => {
    once(law.store, 'create', failing);
    const answer = await law.visitor().get(path);
    expect(answer.status).toBe(503);
    expect(answer.json()).toEqual({
      statusCode: 503,
      error: 'Service Unavailable',
      message: 'The session is not available at the moment.',
    });
    expect(answer.setCookies).toEqual([]);
    expect(answer.headers.get('location')).toBeNull();
  });

  it('becomes a 503 when the store hangs, and does not hang with it, whatever answers', async () => {
    const impatient = await law.another({ session: { storeTimeout: 0.1 } });
    for (const [kind, path] of KINDS) {
      once(impatient.get<SessionStore>(SessionStore), 'create', hanging);
      const answer = await new Browser(impatient.url).get(path);
      expect([kind, answer.status, answer.setCookies]).toEqual([kind, 503, []]);
    }
  });

  it('gives the failed save of a returned value to the exception filters', async () => {
    const seen: unknown[] = [];
    @Catch()
    class Seeing implements ExceptionFilter {
      catch(exception: { code?: unknown; getStatus?(): number }, host: ArgumentsHost): void {
        seen.push(exception.code);
        const response = host.switchToHttp().getResponse<AnyResponse>();
        response.status(exception.getStatus?.() ?? 500).send({ answered: 'by my filter' });
      }
    }
    const other = await law.another({ setUp: (app) => app.useGlobalFilters(new Seeing()) });
    once(other.get<SessionStore>(SessionStore), 'create', failing);
    const answer = await new Browser(other.url).get('/value');
    expect(answer.status).toBe(503);
    expect(answer.json()).toEqual({ answered: 'by my filter' });
    expect(answer.setCookies).toEqual([]);
    expect(seen).toEqual(['SESSION_STORE_UNAVAILABLE']);
  });

  it('keeps what is saved after the first byte', async () => {
    const visitor = law.visitor();
    expect(await readEvents(visitor, '/sse-late?save=1')).toContain('data: two');
    expect((await visitor.get('/read')).json()).toEqual({ at: 'late' });
  });

  it('warns of what was changed after the first byte and never saved', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const unsaved = new Promise((resolve) =>
      law.app.get<SessionEvents>(SessionEvents).on('unsaved', resolve),
    );
    const visitor = law.visitor();
    await readEvents(visitor, '/sse-late');
    expect(await unsaved).toEqual({ handle: expect.stringMatching(/^[0-9a-f]{32}$/) });
    const warnings = warn.mock.calls.map(([text]) => String(text));
    warn.mockRestore();
    expect(warnings).toEqual([expect.stringContaining('await session.save()')]);
    expect((await visitor.get('/read')).json()).toEqual({ at: 'start' });
  });

  it('starts no session after the first byte, because no cookie can follow', async () => {
    law.forget();
    expect(await readEvents(law.visitor(), '/sse-start')).toContain('data: SESSION_HEADERS_SENT');
    expect(law.commands).toEqual([]);
  });

  it('keeps events in their order, and says nothing before the first save', async () => {
    const answer = await law.visitor().get('/sse');
    expect(answer.text.match(/data: \w+/g)).toEqual(['data: one', 'data: two', 'data: three']);
  });
});
