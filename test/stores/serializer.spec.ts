import { randomBytes } from 'node:crypto';
import { types } from 'node:util';
import { Controller, Get, Post } from '@nestjs/common';
import { Session, type SessionSerializer, Sessions } from 'nest-session';
import { EncryptedCookieSessions } from 'nest-session/cookie';
import { encryptedValues } from '../../docs/examples/encrypted-values.js';
import { richValues } from '../../docs/examples/rich-values.js';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { describeLaw, keyOfCookie, withUsers } from '../support/laws.js';
import { AppUsers, newPerson, People } from '../support/people.js';
import type { AnySession } from '../support/stage.js';

@Controller('values')
class Pages {
  @Post()
  write(@Session() session: AnySession) {
    session.set('basket', { tea: 1, sorts: ['green'] });
    session.flash('notice', { text: 'Welcome.' });
    return {};
  }

  @Get()
  read(@Session() session: AnySession) {
    const basket = session.get('basket');
    return { basket, modified: session.modified };
  }

  @Post('more')
  more(@Session() session: AnySession) {
    (session.data.basket as { tea: number }).tea++;
    return { modified: session.modified };
  }

  @Post('atomic')
  async atomic(@Session() session: AnySession) {
    return { n: await session.atomic('n', (n) => Number(n ?? 0) + 1) };
  }
}

const encrypted = {
  controllers: [Pages, People],
  session: { auth: { users: AppUsers }, serializer: encryptedValues(randomBytes(32)) },
};

describeLaw('a serializer that encrypts with a random nonce', encrypted, (law) => {
  const recordOf = async (cookie: string | undefined) => (await law.store.load(keyOfCookie(cookie)))!;

  it('shows no value to who reads the store', async () => {
    const visitor = law.visitor();
    await visitor.post('/values');

    const { values } = await recordOf(await visitor.cookie('sessionid'));
    expect(Object.keys(values)).toContain('basket');
    expect(JSON.stringify(values)).not.toMatch(/green|Welcome/);
  });

  it('makes no write of a read', async () => {
    const visitor = law.visitor();
    await visitor.post('/values');
    law.forget();

    const answer = await visitor.get('/values');

    expect(answer.json()).toEqual({ basket: { tea: 1, sorts: ['green'] }, modified: false });
    expect(law.commands).toEqual(['load']);
  });

  it('saves what was changed inside a value, and nothing else', async () => {
    const visitor = law.visitor();
    await visitor.post('/values');
    const cookie = await visitor.cookie('sessionid');
    const before = await recordOf(cookie);

    expect((await visitor.post('/values/more')).json()).toEqual({ modified: true });

    const after = await recordOf(cookie);
    expect((await visitor.get('/values')).json().basket).toEqual({ tea: 2, sorts: ['green'] });
    const changed = Object.keys(after.values).filter((name) => after.values[name] !== before.values[name]);
    expect(changed).toEqual(['basket']);
  });

  it('changes values in one step', async () => {
    const visitor = law.visitor();
    await visitor.post('/values');
    await Promise.all([1, 2, 3].map(() => visitor.post('/values/atomic')));

    expect((await visitor.post('/values/atomic')).json()).toEqual({ n: 4 });
  });
});

describeLaw('and sessions of users under it', { ...encrypted, on: withUsers }, (law) => {
  it('are found, read and left alone outside of requests', async () => {
    const person = newPerson();
    const visitor = law.visitor();
    await visitor.post(`/login?user=${person.id}`);
    await visitor.post('/values');
    const { handle } = (await visitor.get('/read')).json();

    const sessions = law.app.get<Sessions>(Sessions);
    const session = await sessions.open<Record<string, unknown>>(person.id, String(handle));
    law.forget();
    expect(session?.get('basket')).toEqual({ tea: 1, sorts: ['green'] });
    await session?.save();

    expect([session?.modified, session?.userId, law.commands]).toEqual([false, person.id, []]);
  });
});

/** As Decimal libraries have it: immutable, and a text for JSON. */
class Money {
  constructor(readonly cents: bigint) {}
  toJSON() {
    return 'not asked for';
  }
}

/** Each value as [class, text], so that no object of a user's looks like one. */
const tagged: SessionSerializer = {
  accepts: (value) => value instanceof Money || types.isDate(value),
  stringify: (value) => JSON.stringify(tag(value)),
  parse: (text) => untag(JSON.parse(text)),
};

function tag(value: unknown): unknown {
  if (value instanceof Money) return ['Money', String(value.cents)];
  if (types.isDate(value)) return ['Date', value.getTime()];
  if (Array.isArray(value)) return ['Array', value.map(tag)];
  if (typeof value !== 'object' || value === null) return value;
  return ['Object', Object.entries(value).map(([key, each]) => [key, tag(each)])];
}

function untag(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const [kind, content] = value as [string, never];
  if (kind === 'Money') return new Money(BigInt(content));
  if (kind === 'Date') return new Date(content);
  if (kind === 'Array') return (content as unknown[]).map(untag);
  return Object.fromEntries(
    (content as [string, unknown][]).map(([key, each]): [string, unknown] => [key, untag(each)]),
  );
}

const BORN = Date.UTC(1815, 11, 10);
const VALUES: Record<string, { value: () => unknown; change(value: never): void; shown: [string, string] }> =
  {
    dates: {
      value: () => ({ list: [new Date(BORN)] }),
      change: ({ list }: { list: Date[] }) => list[0].setUTCFullYear(1816),
      shown: ['Date 1815', 'Date 1816'],
    },
    money: {
      value: () => ({ list: [new Money(5n)] }),
      change: (price: { list: Money[] }) => void (price.list[0] = new Money(6n)),
      shown: ['Money 5', 'Money 6'],
    },
  };

const show = (value: unknown) => {
  const [each] = (value as { list: unknown[] }).list;
  if (types.isDate(each)) return `Date ${each.getUTCFullYear()}`;
  return each instanceof Money ? `Money ${each.cents}` : `${typeof each}`;
};

@Controller('rich')
class RichPages {
  @Post()
  write(@Session() session: AnySession) {
    for (const [name, { value }] of Object.entries(VALUES)) session.set(name, value());
    session.data.assigned = new Date(BORN);
    return {};
  }

  @Get()
  read(@Session() session: AnySession) {
    const shown = Object.keys(VALUES).map((name) => show(session.get(name)));
    return { shown, assigned: types.isDate(session.data.assigned), modified: session.modified };
  }

  @Post('change')
  change(@Session() session: AnySession) {
    for (const [name, { change }] of Object.entries(VALUES)) change(session.get(name) as never);
    return { modified: session.modified };
  }

  @Post('atomic')
  async atomic(@Session() session: AnySession) {
    const changed = await session.atomic('seen', (seen) => [...((seen as Date[]) ?? []), new Date(BORN)]);
    return { kinds: (changed as unknown[]).map((each) => types.isDate(each)) };
  }

  @Post('refused')
  refused(@Session() session: AnySession) {
    try {
      session.set('value', { at: new Date(), list: [1n] });
    } catch (error) {
      return { message: (error as Error).message };
    }
    return {};
  }
}

const BEFORE = Object.values(VALUES).map(({ shown: [before] }) => before);
const AFTER = Object.values(VALUES).map(({ shown: [, after] }) => after);

async function expectRichValues(visitor: Browser) {
  await visitor.post('/rich');
  expect((await visitor.get('/rich')).json()).toEqual({ shown: BEFORE, assigned: true, modified: false });
  expect((await visitor.post('/rich/change')).json()).toEqual({ modified: true });
  expect((await visitor.get('/rich')).json().shown).toEqual(AFTER);
  await visitor.post('/rich/atomic');
  expect((await visitor.post('/rich/atomic')).json()).toEqual({ kinds: [true, true] });
}

const rich = { controllers: [RichPages, People], session: { auth: { users: AppUsers }, serializer: tagged } };

describeLaw('a serializer that accepts more than JSON', rich, (law) => {
  it('brings it back as what it is, and sees what changes inside', async () => {
    await expectRichValues(law.visitor());
  });

  it('still refuses what it does not accept, naming the path', async () => {
    const { message } = (await law.visitor().post('/rich/refused')).json();
    expect(message).toContain('value.list[0] is a BigInt');
  });
});

describeLaw('and outside of requests', { ...rich, on: withUsers }, (law) => {
  it('brings it back too', async () => {
    const person = newPerson();
    const visitor = law.visitor();
    await visitor.post(`/login?user=${person.id}`);
    await visitor.post('/rich');
    const { handle } = (await visitor.get('/read')).json();

    const session = await law.app
      .get<Sessions>(Sessions)
      .open<Record<string, unknown>>(person.id, String(handle));
    expect(show(session?.get('money'))).toBe('Money 5');
    session?.set('money', { list: [new Money(7n)] });
    await session?.save();
    await session?.atomic('dates', () => ({ list: [new Date(0)] }));

    expect((await visitor.get('/rich')).json().shown).toEqual(['Date 1970', 'Money 7']);
  });
});

describe.each(platforms)('the encrypted cookie on %s', (platform) => {
  let app: TestApp;
  const start = async (serializer: SessionSerializer) => {
    app = await startApp({
      platform,
      controllers: [RichPages, Pages],
      store: EncryptedCookieSessions,
      session: { serializer },
    });
    return new Browser(app.url);
  };
  afterEach(() => app.close());

  it('holds what the serializer accepts', async () => {
    await expectRichValues(await start(tagged));
  });

  it('is not sent anew for a read, whatever the serializer writes', async () => {
    const visitor = await start(encryptedValues(randomBytes(32)));
    await visitor.post('/values');
    expect((await visitor.get('/values')).setCookies).toEqual([]);
  });
});

describe("the example of docs/recipes.md for what JSON can't hold", () => {
  it('brings all of it back', () => {
    const values = [new Date(0), 10n, new Map([['a', new Set([1])]]), { list: [{ at: new Date(1) }] }];
    for (const value of values) expect(richValues.parse(richValues.stringify(value))).toEqual(value);
    expect([new Date(), 1n, new Map(), new Set()].map((each) => richValues.accepts?.(each))).not.toContain(
      false,
    );
    expect(richValues.accepts?.(new Money(1n))).toBe(false);
  });
});
