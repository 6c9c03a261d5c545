import { jest } from '@jest/globals';
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  GatewayTimeoutException,
  Get,
  Logger,
  type NestInterceptor,
  Post,
  Query,
  Res,
  UseInterceptors,
} from '@nestjs/common';
import { catchError, type Observable, throwError, timeout } from 'rxjs';
import { Session, SessionEvents } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { withResolvers } from '../support/laws.js';
import type { AnySession } from '../support/stage.js';

interface Reply {
  status(code: number): { send(body: object): unknown };
}

const CHANGES: Record<string, (session: AnySession) => unknown> = {
  set: (session) => session.set('late', 1),
  data: (session) => (session.data.late = 1),
  delete: (session) => session.delete('begun'),
  clear: (session) => session.clear(),
  read: (session) => session.get('begun'),
};

let goOn: ReturnType<typeof withResolvers<void>>;
let done: ReturnType<typeof withResolvers<void>>;

/** As in Nest's documentation, with an error of the server. */
class TimeoutInterceptor implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      timeout(5),
      catchError(() => throwError(() => new GatewayTimeoutException())),
    );
  }
}

@Controller()
class Pages {
  @Get()
  read(@Session() session: AnySession) {
    return session.data;
  }

  @Post('begin')
  begin(@Session() session: AnySession) {
    session.set('begun', true);
    return {};
  }

  @Post('slow')
  @UseInterceptors(TimeoutInterceptor)
  async slow(@Session() session: AnySession, @Query('change') change: string) {
    session.set('before', 1);
    await goOn.promise;
    CHANGES[change](session);
    done.resolve();
    return {};
  }

  @Post('answered')
  async answered(@Session() session: AnySession, @Res() reply: Reply, @Query('change') change: string) {
    reply.status(503).send({});
    await goOn.promise;
    CHANGES[change](session);
    done.resolve();
  }
}

describe.each(platforms)('after a server error has left, on %s', (platform) => {
  let app: TestApp;
  let browser: Browser;
  let unsaved: unknown[];
  beforeAll(async () => {
    app = await startApp({ platform, controllers: [Pages] });
    app.get<SessionEvents>(SessionEvents).on('unsaved', (event) => unsaved.push(event));
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    goOn = withResolvers();
    done = withResolvers();
    browser = new Browser(app.url);
    await browser.post('/begin');
    unsaved = [];
  });

  const late = async (path: string, change: string) => {
    const { status } = await browser.post(`/${path}?change=${change}`);
    goOn.resolve();
    await done.promise;
    return status;
  };

  it.each(
    ['set', 'data', 'delete', 'clear'].flatMap((change) => [
      ['slow', 504, change] as const,
      ['answered', 503, change] as const,
    ]),
  )('/%s (%i) is told that a late %s is lost', async (path, status, change) => {
    expect(await late(path, change)).toBe(status);

    expect(unsaved).toEqual([{ handle: expect.stringMatching(/^[0-9a-f]{32}$/) }]);
    expect((await browser.get('/')).json()).toEqual({ begun: true });
  });

  it.each(['slow', 'answered'])('/%s is told of nothing when it only reads', async (path) => {
    await late(path, 'read');
    await browser.get('/');
    expect(unsaved).toEqual([]);
  });

  it('warns of it once', async () => {
    const other = await startApp({ platform, controllers: [Pages] });
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    browser = new Browser(other.url);
    await late('slow', 'set');
    goOn = withResolvers();
    done = withResolvers();
    await late('slow', 'set');
    const warnings = warn.mock.calls.map(([text]) => String(text));
    warn.mockRestore();
    await other.close();

    expect(warnings).toEqual([
      expect.stringContaining('after its request had been answered with a server error'),
    ]);
  });
});
