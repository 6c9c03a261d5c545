import { Controller, Get, Param, Post } from '@nestjs/common';
import { Session } from 'nest-session';
import { describeLaw, keyOfCookie } from '../support/laws.js';

type Data = Session<Record<string, unknown>>;

class Cart {
  items = ['tea'];
  owner = undefined;
  get total() {
    return this.items.length;
  }
}

const cycle: Record<string, unknown> = {};
cycle.self = cycle;

const REFUSED: Record<string, [unknown, string]> = {
  date: [{ items: [{ when: new Date() }] }, 'value.items[0].when is a Date: store date.toISOString()'],
  function: [{ f: () => 1 }, 'value.f is a function'],
  symbol: [[Symbol('s')], 'value[0] is a symbol'],
  bigint: [10n, 'value is a BigInt: store value.toString()'],
  map: [new Map(), 'value is a Map'],
  set: [{ a: new Set() }, 'value.a is a Set'],
  cycle: [cycle, 'value.self refers back'],
  nan: [{ n: NaN }, 'value.n is NaN'],
  infinity: [[1, Infinity], 'value[1] is Infinity'],
  hole: [[1, , 3], 'value[1] is a hole'], // eslint-disable-line no-sparse-arrays
  undefined: [[undefined], 'value[0] is undefined'],
  buffer: [Buffer.from('x'), 'value is a Buffer'],
  url: [{ 'my url': new URL('http://localhost') }, 'value["my url"] is a URL with toJSON()'],
};

const DRAFTS = 6;

const drafts = {
  waiting: [] as (() => void)[],
  allCame(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      if (this.waiting.length === DRAFTS) for (const go of this.waiting.splice(0)) go();
    });
  },
};

@Controller()
class Pages {
  @Get('read')
  read(@Session() session: Data) {
    return session.data;
  }

  @Post('refused/:what')
  refused(@Session() session: Data, @Param('what') what: string) {
    try {
      session.set('value', REFUSED[what][0]);
    } catch (error) {
      const { message, code, path } = error as Error & { code: string; path: string };
      return { message, code, path, has: session.has('value') };
    }
    return { message: 'it was taken' };
  }

  @Post('uncaught/:what')
  uncaught(@Session() session: Data, @Param('what') what: string) {
    session.set('before', 1);
    session.set('value', REFUSED[what][0]);
    return {};
  }

  @Post('changed-inside')
  changedInside(@Session() session: Data) {
    session.set('before', 1);
    (session.setDefault('cart', { items: [] }) as { when?: unknown }).when = new Date();
    return {};
  }

  /** Waits for the others, so that all have read the session as it was before. */
  @Post('draft/:n')
  async draft(@Session() session: Data, @Param('n') n: string) {
    session.set(`draft ${n}`, 'x'.repeat(100_000));
    await drafts.allCame();
    return {};
  }

  @Post('kept')
  kept(@Session() session: Data) {
    session.set('cart', new Cart());
    session.set('nothing', { a: undefined, b: null });
    session.set('__proto__', { polluted: true });
    session.set('constructor', 'a string');
    session.set('', 'the empty name');
    session.set('ünïcode 😀', '\u0000 \ud800 ok');
    return { isPlain: Object.getPrototypeOf(session.get('cart')) === Object.prototype };
  }

  @Post('too-large')
  tooLarge(@Session() session: Data) {
    session.update({ small: 'x', big: 'é'.repeat(100_000), bigger: 'x'.repeat(100_000) });
    return {};
  }
}

describeLaw('law 11: values are JSON', { controllers: [Pages] }, (law) => {
  it.each(Object.entries(REFUSED))(
    'refuses what JSON would change at the set, naming the path: %s',
    async (what, [, message]) => {
      const visitor = law.visitor();
      const answer = await visitor.post(`/refused/${what}`);
      expect(answer.json()).toMatchObject({
        code: 'SESSION_VALUE',
        has: false,
        path: message.split(' is')[0].split(' refers')[0],
      });
      expect(answer.json().message).toContain(message);
      expect(answer.setCookies).toEqual([]);
    },
  );

  it.each(['date', 'cycle'])('writes nothing when nobody catches the error: %s', async (what) => {
    const visitor = law.visitor();
    law.forget();
    const answer = await visitor.post(`/uncaught/${what}`);
    expect([answer.status, answer.setCookies, law.commands]).toEqual([500, [], []]);
  });

  it('finds at the commit what was put into a value after the set, before anything is written', async () => {
    law.forget();
    const answer = await law.visitor().post('/changed-inside');
    expect([answer.status, answer.setCookies, law.commands]).toEqual([500, [], []]);
  });

  it('keeps the rest: plain copies of instances, no undefined, every name', async () => {
    const visitor = law.visitor();
    expect((await visitor.post('/kept')).json()).toEqual({ isPlain: true });
    const text = (await visitor.get('/read')).text;
    expect(JSON.parse(text)).toEqual(
      JSON.parse(
        '{"cart":{"items":["tea"]},"nothing":{"b":null},"__proto__":{"polluted":true},"constructor":"a string",' +
          '"":"the empty name","ünïcode 😀":"\\u0000 \\ud800 ok"}',
      ),
    );
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('refuses a session beyond maxSize, naming the largest values, and writes nothing', async () => {
    law.forget();
    const answer = await law.visitor().post('/too-large');
    expect([answer.status, answer.setCookies, law.commands]).toEqual([500, [], []]);
  });

  it('holds maxSize for what is stored, however many requests add to it at once', async () => {
    const visitor = law.visitor();
    await visitor.post('/kept');
    const answers = await Promise.all(Array.from({ length: DRAFTS }, (_, n) => visitor.post(`/draft/${n}`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 500, 500, 500, 500]);
    const { values } = (await law.store.load(keyOfCookie(await visitor.cookie('sessionid'))))!;
    expect(Object.keys(values).filter((name) => name.startsWith('draft'))).toHaveLength(2);
    // Room can be made again.
    expect((await visitor.post('/kept')).status).toBe(201);
  });
});
