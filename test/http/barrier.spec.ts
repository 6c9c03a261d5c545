import type { ServerResponse } from 'node:http';
import fastifyCookie from '@fastify/cookie';
import { Controller, Get, Header, HttpCode, type INestApplication, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Session } from 'nest-session';
import { type AnySession, rawOf } from '../support/stage.js';
import { type RawAnswer, startOn, type TransportApp, transports } from '../support/transports.js';

/**
 * Item 0 of the issue: whichever form of `writeHead` ends a response, beside our Set-Cookie and `Vary: Cookie` every
 * cookie and every Vary value of the handler, of @fastify/cookie and of CORS arrives, over every transport.
 */

type Raw = ServerResponse;
type AnyHeaders = Record<string, string | string[]>;

const SHARED: Readonly<AnyHeaders> = Object.freeze({
  'Set-Cookie': 'args=1; Path=/',
  Vary: 'Accept-Language',
  'X-Form': 'shared',
});
const SHARED_LIST: readonly string[] = Object.freeze([
  ...['Set-Cookie', 'args=1; Path=/', 'Vary', 'Accept-Language', 'X-Form', 'list'],
]);
const SHARED_PAIRS = Object.freeze([
  Object.freeze(['Set-Cookie', 'args=1; Path=/']),
  Object.freeze(['Vary', 'Accept-Language']),
  Object.freeze(['X-Form', 'pairs']),
]);

/** Everything that Node takes; its types know less. */
const head = (response: Raw, ...args: unknown[]) =>
  (response.writeHead as (...args: unknown[]) => Raw).apply(response, args);

/** Sends `body` with headers in its arguments: a cookie `args`, a Vary value, an X-Form. */
const FORMS_WITH_HEADERS: Record<string, (response: Raw) => void> = {
  'writeHead(status, object)': (response) => head(response, 201, SHARED).end('body'),
  'writeHead(status, undefined, object)': (response) => head(response, 201, undefined, SHARED).end('body'),
  'writeHead(status, reason, object)': (response) => head(response, 201, 'Made', SHARED).end('body'),
  'writeHead(status, flat array)': (response) => head(response, 201, SHARED_LIST).end('body'),
  'writeHead(status, reason, flat array)': (response) => head(response, 201, 'Made', SHARED_LIST).end('body'),
  'writeHead(status, array of pairs)': (response) => head(response, 201, SHARED_PAIRS).end('body'),
  'writeHead(status, reason, array of pairs)': (response) =>
    head(response, 201, 'Made', SHARED_PAIRS).end('body'),
  'writeHead with names in odd case': (response) =>
    head(response, 201, { 'sEt-cOOkie': ['args=1; Path=/'], vARY: 'Accept-Language', 'x-fORM': 'odd' }).end(
      'body',
    ),
  'writeHead with a name that comes twice in an array': (response) =>
    head(response, 201, [
      ...['Set-Cookie', 'args=1; Path=/', 'set-cookie', 'again=1', 'Vary', 'Accept-Language', 'VARY', 'DNT'],
      ...['X-Form', 'twice'],
    ]).end('body'),
  'writeHead, then flushHeaders, write and end': (response) => {
    head(response, 201, SHARED);
    response.flushHeaders();
    response.write('bo');
    response.end('dy');
  },
};

/** Sends `body` with what was set on the response before. */
const FORMS_WITHOUT_HEADERS: Record<string, (response: Raw) => void> = {
  'writeHead(status)': (response) => response.writeHead(201).end('body'),
  'writeHead(status, reason)': (response) => head(response, 201, 'Made').end('body'),
  'writeHead(status, {})': (response) => response.writeHead(201, {}).end('body'),
  'end alone': (response) => void response.end('body'),
  'end with an encoding': (response) => void response.end(Buffer.from('body').toString('hex'), 'hex'),
  'write, then end': (response) => {
    response.write('bo');
    response.end('dy');
  },
  'flushHeaders, then end': (response) => {
    response.flushHeaders();
    response.end('body');
  },
};

interface Ask {
  form: string;
  use: 'read' | 'write';
  before: 'nothing' | 'setHeader' | 'appendHeader';
}

/** HTTP/2 has no reason, and warns of one; `appendHeader` is HTTP/1's alone. */
const isForHttp1 = (text: string) => /reason|appendHeader/.test(text);

@Controller()
class Forms {
  @Get('raw')
  raw(
    @Session() session: AnySession,
    @Query() { form, use, before }: Ask,
    @Res() response: Raw & FastifyReply,
  ): void {
    if (use === 'write') session.set('form', form);
    else session.get('form');
    const raw = rawOf(response);
    if (before !== 'nothing') raw[before]('Set-Cookie', 'before=1; Path=/');
    raw.statusCode = 201;
    (FORMS_WITH_HEADERS[form] ?? FORMS_WITHOUT_HEADERS[form])(raw);
  }

  @Get('proto')
  proto(@Session() session: AnySession, @Res() response: Raw & FastifyReply) {
    session.set('form', 'proto');
    rawOf(response).writeHead(200, JSON.parse('{"__proto__": "a name as any other"}')).end('body');
  }

  @Get('returned')
  @Header('Vary', 'Accept-Language')
  @Header('X-Form', 'returned')
  @HttpCode(201)
  returned(
    @Session() session: AnySession,
    @Query() { use }: Ask,
    @Res({ passthrough: true }) response: Cookies,
  ) {
    if (use === 'write') session.set('form', 'returned');
    if (response.setCookie) response.setCookie('args', '1', { path: '/' });
    else response.cookie?.('args', '1');
    return 'body';
  }

  @Get('sent')
  sent(@Session() session: AnySession, @Query() { use }: Ask, @Res() response: Sender) {
    if (use === 'write') session.set('form', 'sent');
    if (response.setCookie) response.setCookie('args', '1', { path: '/' });
    else response.cookie?.('args', '1');
    response.status(201).header('Vary', 'Accept-Language').header('X-Form', 'sent').send('body');
  }
}

interface Cookies {
  cookie?(name: string, value: string): void;
  setCookie?(name: string, value: string, options: object): void;
}
interface Sender extends Cookies {
  status(code: number): this;
  header(name: string, value: string): this;
  send(body: string): void;
}

async function usePlugins(app: INestApplication): Promise<void> {
  app.enableCors({ origin: ['https://shop.example', 'https://other.example'], credentials: true });
  if (app.getHttpAdapter().getType() === 'fastify') {
    const fastify = app.getHttpAdapter().getInstance() as { register(plugin: unknown): unknown };
    await fastify.register(fastifyCookie);
  }
}

const namesOf = (setCookies: string[]) => setCookies.map((each) => each.split('=')[0]).sort();
const varyOf = (answer: RawAnswer) =>
  answer
    .values('vary')
    .flatMap((value) => value.split(','))
    .map((each) => each.trim().toLowerCase())
    .sort();

describe.each(transports)('The barrier on %s', (transport) => {
  const isHttp2 = transport.endsWith('HTTP/2');
  let app: TransportApp;

  beforeAll(async () => {
    app = await startOn(transport, { controllers: [Forms], setUp: usePlugins });
  });
  afterAll(() => app.close());

  const ask = (path: string, query: Partial<Ask> = {}) =>
    app.send(`/${path}?${new URLSearchParams(query as Record<string, string>).toString()}`, {
      headers: { origin: 'https://shop.example' },
    });

  const cases = (forms: object, befores: Ask['before'][]) =>
    Object.keys(forms)
      .flatMap((form) =>
        befores.flatMap((before) => [
          { form, before, use: 'write' as const },
          { form, before, use: 'read' as const },
        ]),
      )
      .filter(({ form, before }) => !(isHttp2 && isForHttp1(form + before)));

  it.each(cases(FORMS_WITH_HEADERS, ['nothing', 'setHeader', 'appendHeader']))(
    '$form, a cookie by $before before, session $use: all cookies and Vary values arrive',
    async (query: Ask) => {
      const answer = await ask('raw', query);

      expect(answer).toMatchObject({ status: 201, body: 'body' });
      if (!isHttp2) expect(answer.reason).toBe(query.form.includes('reason') ? 'Made' : 'Created');
      expect(namesOf(answer.values('set-cookie'))).toEqual(
        [
          'args',
          ...(query.form.includes('twice') ? ['again'] : []),
          // Without a cookie of ours, the arguments replace what was set before, as Node has it.
          ...(query.use === 'write' ? ['sessionid', ...(query.before === 'nothing' ? [] : ['before'])] : []),
        ].sort(),
      );
      expect(varyOf(answer)).toEqual(
        ['accept-language', 'cookie', ...(query.form.includes('twice') ? ['dnt'] : []), 'origin'].sort(),
      );
      expect(answer.values('x-form')).toHaveLength(1);
      expect(answer.values('access-control-allow-origin')).toEqual(['https://shop.example']);
    },
  );

  it.each(cases(FORMS_WITHOUT_HEADERS, ['setHeader', 'appendHeader']))(
    '$form, a cookie by $before, session $use: all cookies and Vary values arrive',
    async (query: Ask) => {
      const answer = await ask('raw', query);

      expect(answer).toMatchObject({ status: 201, body: 'body' });
      if (!isHttp2) expect(answer.reason).toBe(query.form.includes('reason') ? 'Made' : 'Created');
      expect(namesOf(answer.values('set-cookie'))).toEqual(
        query.use === 'write' ? ['before', 'sessionid'] : ['before'],
      );
      expect(varyOf(answer)).toEqual(['cookie', 'origin']);
    },
  );

  it.each(
    ['returned', 'sent'].flatMap(
      (path) =>
        [
          { path, use: 'write' },
          { path, use: 'read' },
        ] as const,
    ),
  )(
    "a value that is $path with the platform's own cookie, session $use: all cookies and Vary values arrive",
    async ({ path, use }) => {
      const answer = await ask(path, { use });

      expect(answer).toMatchObject({ status: 201, body: 'body' });
      expect(namesOf(answer.values('set-cookie'))).toEqual(
        use === 'write' ? ['args', 'sessionid'] : ['args'],
      );
      // Fastify's header() replaces what CORS said, with or without sessions.
      expect(varyOf(answer)).toEqual(expect.arrayContaining(['accept-language', 'cookie']));
    },
  );

  it('leaves a header named __proto__ an ordinary one', async () => {
    const answer = await ask('proto');

    expect(answer.status).toBe(200);
    if (transport !== 'Fastify by inject')
      expect(answer.values('__proto__')).toEqual(['a name as any other']);
    expect(namesOf(answer.values('set-cookie'))).toEqual(['sessionid']);
  });

  it('changes no headers object that a handler uses for all its answers', () => {
    // Frozen: the tests above had failed. Not frozen, and still as they were:
    expect(SHARED).toEqual({
      'Set-Cookie': 'args=1; Path=/',
      Vary: 'Accept-Language',
      'X-Form': 'shared',
    });
  });
});
