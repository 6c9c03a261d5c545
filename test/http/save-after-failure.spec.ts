import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  Param,
  Post,
  Res,
} from '@nestjs/common';
import { MemorySessionStore, Session } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';

interface Data {
  done: boolean;
}
interface Reply {
  status(code: number): { send(body: object): void };
}

let resolveOutcome: (outcome: unknown) => void;
let outcome: Promise<unknown>;
let failures = 0;

const outcomeOf = (saving: Promise<void>) =>
  saving.then(
    () => 'saved',
    (error: { code?: string }) => error.code ?? 'error',
  );

class FlakyStore extends MemorySessionStore {
  override async save(...args: Parameters<MemorySessionStore['save']>): Promise<boolean> {
    if (failures-- > 0) throw new Error('away for a moment');
    return super.save(...args);
  }
}

@Catch()
class TryAgain implements ExceptionFilter {
  catch(_: unknown, host: ArgumentsHost) {
    const [{ session }, reply] = host.getArgs<[{ session: Session<Data> }, Reply]>();
    return outcomeOf(session.save()).then((text) => {
      resolveOutcome(text);
      reply.status(503).send({});
    });
  }
}

@Controller()
class Pages {
  @Get()
  read(@Session() session: Session<Data>) {
    return { done: session.get('done') ?? null };
  }

  @Post('begin')
  begin(@Session() session: Session<Record<string, unknown>>) {
    session.set('begun', true);
    return {};
  }

  @Post('answered/:status')
  async answered(
    @Session() session: Session<Data>,
    @Res() reply: Reply & { raw?: { once(event: 'finish', listener: () => void): void } },
    @Param('status') status: string,
  ) {
    const raw = (reply.raw ?? reply) as { once(event: 'finish', listener: () => void): void };
    const finished = new Promise<void>((resolve) => raw.once('finish', resolve));
    reply.status(Number(status)).send({});
    await finished;
    session.set('done', true);
    resolveOutcome(await outcomeOf(session.save()));
  }

  @Post('flaky')
  flaky(@Session() session: Session<Data>) {
    session.set('done', true);
    return {};
  }
}

describe.each(platforms)('on %s, session.save()', (platform) => {
  let app: TestApp;
  let browser: Browser;
  beforeAll(async () => {
    app = await startApp({
      platform,
      controllers: [Pages],
      store: FlakyStore,
      setUp: (nest) => void nest.useGlobalFilters(new TryAgain()),
    });
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    failures = 0;
    outcome = new Promise((resolve) => (resolveOutcome = resolve));
    browser = new Browser(app.url);
    await browser.post('/begin');
  });

  it('saves after an answer that is no server error', async () => {
    await browser.post('/answered/400');

    expect(await outcome).toBe('saved');
    expect((await browser.get('/')).json()).toEqual({ done: true });
  });

  it('rejects after a server error has left, for nothing is saved any more', async () => {
    await browser.post('/answered/504');

    expect(await outcome).not.toBe('saved');
    expect((await browser.get('/')).json()).toEqual({ done: null });
  });

  it('rejects after a failed commit, as the commit did', async () => {
    failures = 1;
    await browser.post('/flaky');

    expect(await outcome).toBe('SESSION_STORE_UNAVAILABLE');
    expect((await browser.get('/')).json()).toEqual({ done: null });
  });
});
