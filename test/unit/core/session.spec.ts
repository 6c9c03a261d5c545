import { inspect } from 'node:util';
import type { Session } from 'nest-session';
import { FakeClock } from 'nest-session/testing';
import type { SessionRecord } from '../../../lib/core/record.js';
import { jsonSerializer } from '../../../lib/core/serializer.js';
import { SessionState, type StoredIdentity } from '../../../lib/core/session-state.js';
import { type SessionLifecycle, SessionView } from '../../../lib/core/session.js';
import { SessionNotLoadedError, SessionUsageError, SessionValueError } from '../../../lib/errors.js';

type AnySession = Session<Record<string, unknown>>;

const HOUR = 3_600_000;
const NOW = Date.UTC(2030, 0);
const options = {
  ...{ idleTimeoutMs: HOUR, absoluteTimeoutMs: 10 * HOUR, touchEveryMs: 60_000, persistent: true },
  ...{ maxSize: 1_000, serializer: jsonSerializer },
};

const recordOf = (values: Record<string, string>, more: Partial<SessionRecord> = {}): SessionRecord => ({
  ...{ format: 1, handle: 'f'.repeat(32), values, createdAt: NOW - HOUR, lastSeenAt: NOW - 1_000 },
  ...{ expiresAt: NOW + HOUR, absoluteExpiresAt: NOW + 9 * HOUR, policy: '' },
  ...more,
});

/** A loaded session without a request: nothing is ever written. */
function open(values: Record<string, string> = {}, more: Partial<SessionRecord> = {}) {
  const identity = { id: 'the-secret-id', key: 'the-secret-key', record: recordOf(values, more) };
  return make(identity);
}
const anonymous = () => make(undefined);

function make(stored: StoredIdentity | undefined) {
  const clock = new FakeClock(NOW);
  const corrupt: string[] = [];
  const state = new SessionState(stored ? 'living' : 'nothing', stored, options, clock, (handle) =>
    corrupt.push(handle),
  );
  const calls: string[] = [];
  const lifecycle: SessionLifecycle = {
    hasNothingToLoad: false,
    state,
    load: () => undefined,
    save: async () => void calls.push('save'),
    flush: async () => void calls.push('flush'),
    atomic: async (name, change) => {
      calls.push(`atomic ${name}`);
      return change(state.values.get(name));
    },
    csrfToken: (binding) => `a token for ${binding}`,
    beyondAbsolute: () => void calls.push('beyondAbsolute'),
  };
  const session = new SessionView(lifecycle) as unknown as AnySession;
  return { session, state, calls, clock, corrupt };
}

describe('A session', () => {
  describe('holds values as a Django session does', () => {
    it('get, set, has, delete', () => {
      const { session } = open({ n: '1' });

      expect([session.get('n'), session.get('x'), session.has('n'), session.has('x')]).toEqual([
        1,
        undefined,
        true,
        false,
      ]);
      expect(session.set('x', { y: [] })).toBe(session);
      expect([session.get('x'), session.has('x')]).toEqual([{ y: [] }, true]);
      expect([session.delete('x'), session.delete('x'), session.has('x')]).toEqual([true, false, false]);
    });

    it('pop returns what it removes; of a missing value the fallback, and nothing is modified', () => {
      const { session } = open({ n: '1' });

      expect([session.pop('x'), session.pop('x', 7), session.modified]).toEqual([undefined, 7, false]);
      expect([session.pop('n', 7), session.has('n'), session.modified]).toEqual([1, false, true]);
    });

    it('setDefault sets what is missing; of a present value it is the value, and nothing is modified', () => {
      const { session } = open({ n: '1', nothing: 'null' });

      expect([session.setDefault('n', 7), session.setDefault('nothing', 7), session.modified]).toEqual([
        1,
        null,
        false,
      ]);
      expect([session.setDefault('x', 7), session.get('x'), session.modified]).toEqual([7, 7, true]);
    });

    it('setDefault gives the object that is kept, so that it can be filled', () => {
      const { session } = anonymous();
      (session.setDefault('cart', []) as string[]).push('tea');

      expect(session.get('cart')).toEqual(['tea']);
    });

    it('setDefault and pop take a corrupt value for a missing one', () => {
      const { session, corrupt } = open({ bad: '{"half', worse: '' });

      expect(session.setDefault('bad', 1)).toBe(1);
      expect(session.pop('worse', 'fallback')).toBe('fallback');
      expect(corrupt).toHaveLength(2);
    });

    it('update sets several; clear removes all', () => {
      const { session } = open({ n: '1' });

      expect(session.update({ a: 1, b: [2], n: undefined })).toBe(session);
      expect([...session]).toEqual([
        ['a', 1],
        ['b', [2]],
      ]);
      session.clear();
      expect([session.size, session.isEmpty, [...session.keys()]]).toEqual([0, true, []]);
    });

    it('keys, values, entries, size and iteration', () => {
      const { session } = open({ a: '1', b: '[2]' });
      session.set('c', 3);

      expect([...session.keys()]).toEqual(['a', 'b', 'c']);
      expect([...session.values()]).toEqual([1, [2], 3]);
      expect([...session.entries()]).toEqual([...session]);
      expect([...session]).toEqual([
        ['a', 1],
        ['b', [2]],
        ['c', 3],
      ]);
      expect(session.size).toBe(3);
    });

    it('a loop may set and delete', () => {
      const { session } = open({ a: '1', b: '2', c: '3' });
      for (const key of session.keys()) {
        session.delete(key);
        session.set(`${key}2`, true);
      }

      expect([...session.keys()]).toEqual(['a2', 'b2', 'c2']);
    });

    it.each(['__proto__', 'constructor', 'toString', 'get', 'then', ''])(
      '%j is a name as any other',
      (name) => {
        const { session } = anonymous();
        expect([session.has(name), session.get(name)]).toEqual([false, undefined]);
        session.set(name, { a: 1 });

        expect([session.has(name), session.get(name), [...session.keys()]]).toEqual([true, { a: 1 }, [name]]);
        expect(session.pop(name)).toEqual({ a: 1 });
      },
    );

    it.each([Symbol('x'), 1, null, undefined, {}])('a name that is no text is an error: %p', (name) => {
      expect(() => anonymous().session.set(name as string, 1)).toThrow(SessionUsageError);
    });

    it('refuses what JSON would change, and names the path', () => {
      const { session } = anonymous();

      expect(() => session.set('cart', { items: [{ when: new Date() }] })).toThrow(SessionValueError);
      expect(() => session.update({ a: 1, cart: [NaN] })).toThrow('cart[0] is NaN');
    });
  });

  describe('tells what was done', () => {
    const uses: [string, (session: AnySession) => unknown][] = [
      ['get', (session) => session.get('n')],
      ['has', (session) => session.has('n')],
      ['size', (session) => session.size],
      ['keys', (session) => session.keys()],
      ['values', (session) => session.values()],
      ['entries', (session) => session.entries()],
      ['for of', (session) => [...session]],
      ['isEmpty', (session) => session.isEmpty],
      ['isNew', (session) => session.isNew],
      ['isConfirmed', (session) => session.isConfirmed],
      ['modified', (session) => session.modified],
      ['handle', (session) => session.handle],
      ['expiresAt', (session) => session.expiresAt],
      ['absoluteExpiresAt', (session) => session.absoluteExpiresAt],
      ['expiryAge', (session) => session.expiryAge],
      ['data', (session) => session.data],
      ['in data', (session) => 'n' in session.data],
      ['takeFlash', (session) => session.takeFlash('x')],
      ['pop of a missing value', (session) => session.pop('x')],
      ['setDefault of a present value', (session) => session.setDefault('n', 2)],
    ];

    it.each(uses)('%s: accessed and not modified', (_, use) => {
      const { session } = open({ n: '1' });
      expect(session.accessed).toBe(false);
      use(session);

      expect([session.accessed, session.modified]).toEqual([true, false]);
    });

    it.each<[string, (session: AnySession) => unknown]>([
      ['set', (session) => session.set('n', 1)],
      ['delete', (session) => session.delete('n')],
      ['pop', (session) => session.pop('n')],
      ['update', (session) => session.update({ n: 2 })],
      ['clear', (session) => session.clear()],
      ['flash', (session) => session.flash('x', 1)],
      ['a nested change', (session) => (session.get('cart') as unknown[]).push(1)],
      ['data', (session) => (session.data.n = 5)],
      ['cycleId', (session) => session.cycleId()],
      ['setExpiry', (session) => session.setExpiry('5m')],
    ])('%s: modified', (_, use) => {
      const { session } = open({ n: '1', cart: '[]' });
      use(session);

      expect([session.accessed, session.modified]).toEqual([true, true]);
    });

    it('isNew, isEmpty and isConfirmed of an anonymous visitor and of one who came back', () => {
      const look = ({ isNew, isEmpty, isConfirmed }: AnySession) => ({ isNew, isEmpty, isConfirmed });

      expect(look(anonymous().session)).toEqual({ isNew: true, isEmpty: true, isConfirmed: false });
      expect(look(open({ n: '1' }).session)).toEqual({ isNew: false, isEmpty: false, isConfirmed: true });
      expect(look(open({}).session)).toEqual({ isNew: false, isEmpty: true, isConfirmed: true });
    });

    it('its name and its times', () => {
      const { session } = open();
      expect([session.handle, session.createdAt, session.lastSeenAt]).toEqual([
        ...['f'.repeat(32), new Date(NOW - HOUR), new Date(NOW - 1_000)],
      ]);
      const fresh = anonymous().session;
      expect(fresh.handle).toMatch(/^[0-9a-f]{32}$/);
      expect([fresh.handle, fresh.createdAt]).toEqual([fresh.handle, new Date(NOW)]);
    });

    it('gives a token for itself and its start, until there is a login, which the request makes', () => {
      expect(open().session.csrfToken).toBe(`a token for ${'f'.repeat(32)}.start ${NOW - HOUR}`);
      const fresh = anonymous().session;
      expect(fresh.csrfToken).toBe(`a token for ${fresh.handle}.start ${NOW}`);
    });
  });

  it.each([true, false])('tells before the load what is known without it; nothing to load: %s', (isKnown) => {
    const lifecycle = { state: undefined, hasNothingToLoad: isKnown } as unknown as SessionLifecycle;
    const session = new SessionView(lifecycle) as unknown as AnySession;

    expect([session.accessed, session.modified]).toEqual([false, false]);
    for (const name of ['isNew', 'isEmpty'] as const) {
      if (isKnown) expect(session[name]).toBe(true);
      else expect(() => session[name]).toThrow(SessionNotLoadedError);
    }
    expect(session.accessed).toBe(false);
  });

  it('throws for what it cannot know before it is loaded, and says what to do', async () => {
    const lifecycle = { state: undefined, load: () => undefined } as unknown as SessionLifecycle;
    const session = new SessionView(lifecycle) as unknown as AnySession;
    const uses: ((session: AnySession) => unknown)[] = [
      ...[(s: AnySession) => s.get('a'), (s: AnySession) => s.set('a', 1), (s: AnySession) => s.data],
      ...[(s: AnySession) => s.keys(), (s: AnySession) => s.size, (s: AnySession) => s.handle],
      ...[(s: AnySession) => s.isNew, (s: AnySession) => s.setExpiry(1), (s: AnySession) => [...s]],
      ...[(s: AnySession) => s.delete('a'), (s: AnySession) => s.clear(), (s: AnySession) => s.cycleId()],
    ];
    for (const use of uses) expect(() => use(session)).toThrow(SessionNotLoadedError);
    for (const call of ['save', 'flush'] as const)
      await expect(session[call]()).rejects.toThrow(SessionNotLoadedError);

    expect(() => session.get('a')).toThrow(/@Session\(\).*await request\.session\.load\(\).*load: 'eager'/s);
    expect(await session.load()).toBe(session);
    expect([inspect(session), JSON.stringify(session), session.accessed]).toEqual([
      'Session { not loaded }',
      '{}',
      false,
    ]);
  });

  describe('is sealed', () => {
    const assign = (session: AnySession, name: PropertyKey) => () => {
      (session as unknown as Record<PropertyKey, unknown>)[name] = 1;
    };

    it.each([
      'cart',
      'user',
      'cookie',
      'data',
      'id',
      'modified',
      'size',
      'handle',
      'expiresAt',
      'hasOwnProperty',
    ])('assigning %s throws, and names set and data', (name) => {
      const { session } = anonymous();
      expect(assign(session, name)).toThrow(SessionUsageError);
      expect(assign(session, name)).toThrow(
        `write session.set('${name}', value) or session.data.${name} = value`,
      );
      expect(session.size).toBe(0);
    });

    it.each(['get', 'save', 'values', 'clear', Symbol('x')])('assigning %p throws too', (name) => {
      const { session } = anonymous();
      const before = (session as unknown as Record<PropertyKey, unknown>)[name];

      expect(assign(session, name)).toThrow();
      expect((session as unknown as Record<PropertyKey, unknown>)[name]).toBe(before);
    });

    it('defining and assigning several throw', () => {
      const { session } = anonymous();

      expect(() => Object.assign(session, { cart: 1 })).toThrow(SessionUsageError);
      expect(() => Object.defineProperty(session, 'cart', { value: 1 })).toThrow(TypeError);
    });

    it('reading an unknown property is undefined, so that it can be awaited, compared and printed', async () => {
      const { session } = anonymous();

      expect((session as unknown as Record<string, unknown>).cart).toBeUndefined();
      expect('cart' in session).toBe(false);
      expect(await Promise.resolve(session)).toBe(session);
      expect(String(session)).toBe('[object Object]');
      expect(Object.prototype.hasOwnProperty.call(session, 'get')).toBe(false);
    });
  });

  describe('keeps its secrets', () => {
    const show: [string, (session: AnySession) => string][] = [
      ['inspect', (session) => inspect(session, { depth: 10, showHidden: true, showProxy: true })],
      [
        'inspect without custom functions',
        (session) => inspect(session, { depth: 10, showHidden: true, customInspect: false }),
      ],
      [
        'inspect of what holds it',
        (session) => inspect({ request: { session } }, { depth: 10, showHidden: true }),
      ],
      [
        'inspect of data',
        (session) => inspect(session.data, { depth: 10, showHidden: true, showProxy: true }),
      ],
      ['JSON', (session) => JSON.stringify(session)],
      ['a copy', (session) => JSON.stringify({ ...session })],
      ['a text', (session) => String(session)],
    ];

    it.each(show)('%s shows neither id nor key nor values', (_, write) => {
      const { session } = open({ note: '"between you and me"' });
      session.get('note');
      session.set('other', 'between us');
      const shown = write(session);

      expect(shown).not.toMatch(/the-secret|between/);
    });

    it('inspect and JSON show the handle', () => {
      const { session } = open();
      expect(inspect(session)).toBe(`Session { handle: '${'f'.repeat(32)}', isNew: false }`);
      expect(JSON.parse(JSON.stringify(session))).toEqual({ handle: 'f'.repeat(32) });
    });

    it('looking at it in a log does not count as asking for it', () => {
      const { session } = open();
      inspect(session);
      JSON.stringify(session);

      expect(session.accessed).toBe(false);
    });
  });

  describe('data', () => {
    it('reads and writes as a plain object does', () => {
      const { session } = open({ views: '1', cart: '{"items":[]}' });
      const data = session.data as { views: number; cart: { items: string[] }; coupon?: string };
      data.views++;
      data.cart.items.push('tea');
      data.coupon = 'x';

      expect(session.get('views')).toBe(2);
      expect(session.get('cart')).toEqual({ items: ['tea'] });
      expect(session.get('coupon')).toBe('x');
      expect(delete data.coupon).toBe(true);
      expect(session.has('coupon')).toBe(false);
      expect(delete data.coupon).toBe(true);
    });

    it('is the same object each time', () => {
      const { session } = open();
      expect(session.data).toBe(session.data);
    });

    it('is listed, spread, compared and serialised', () => {
      const { data } = open({ a: '1', b: '[2]' }).session;

      expect(Object.keys(data)).toEqual(['a', 'b']);
      expect(Object.entries(data)).toEqual([
        ['a', 1],
        ['b', [2]],
      ]);
      expect({ ...data }).toEqual({ a: 1, b: [2] });
      expect(JSON.parse(JSON.stringify(data))).toEqual({ a: 1, b: [2] });
      const seen: string[] = [];
      for (const key in data) seen.push(key);
      expect(seen).toEqual(['a', 'b']);
    });

    it("in, hasOwn and descriptors know the session's values and nothing else", () => {
      const { data } = open({ a: '1' }).session;

      expect(['a' in data, 'b' in data, 'toString' in data, '__proto__' in data]).toEqual([
        true,
        false,
        false,
        false,
      ]);
      expect([Object.hasOwn(data, 'a'), Object.hasOwn(data, 'toString')]).toEqual([true, false]);
      expect(Object.getOwnPropertyDescriptor(data, 'a')).toEqual({
        ...{ value: 1, writable: true, enumerable: true, configurable: true },
      });
      expect([data.toString, data.constructor, data[Symbol.iterator as never]]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
    });

    it('assigning undefined removes, as set does', () => {
      const { session } = open({ a: '1' });
      session.data.a = undefined;

      expect([session.has('a'), Object.keys(session.data)]).toEqual([false, []]);
    });

    it('takes Object.assign and defineProperty, and no getter', () => {
      const { session } = open();
      Object.assign(session.data, { a: 1, b: 2 });
      Object.defineProperty(session.data, 'c', { value: 3 });

      expect([...session.keys()]).toEqual(['a', 'b', 'c']);
      expect(() => Object.defineProperty(session.data, 'd', { get: () => 4 })).toThrow(TypeError);
      for (const descriptor of [{ writable: false }, { set: () => undefined }])
        expect(() => Object.defineProperty(session.data, 'a', descriptor)).toThrow(TypeError);
      expect(session.get('a')).toBe(1);
    });

    it('cannot be frozen or given a prototype, and goes on working', () => {
      const { session } = open();
      session.set('a', 1);
      for (const change of [
        Object.freeze,
        Object.preventExtensions,
        (data: object) => Object.setPrototypeOf(data, Array.prototype),
      ])
        expect(() => change(session.data)).toThrow(TypeError);
      session.set('b', 2);
      expect(Object.keys(session.data)).toEqual(['a', 'b']);
    });

    it('refuses what JSON would change', () => {
      const { session } = open();
      expect(() => (session.data.when = new Date())).toThrow('when is a Date');
      expect(() => ((session.data as Record<symbol, unknown>)[Symbol('x')] = 1)).toThrow(SessionUsageError);
    });

    it('takes __proto__ for a name as any other', () => {
      const { session } = open();
      session.data['__proto__'] = { polluted: true };

      expect(session.get('__proto__')).toEqual({ polluted: true });
      expect(Object.getPrototypeOf(session.data)).toBeNull();
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    });
  });

  describe('flashes', () => {
    it('are taken once, and shown by nothing else', () => {
      const { session } = anonymous();
      expect(session.flash('note', ['saved'])).toBe(session);

      expect([[...session.keys()], session.size, Object.keys(session.data), { ...session.data }]).toEqual([
        [],
        0,
        [],
        {},
      ]);
      expect([...session.entries()]).toEqual([]);
      expect([
        session.get('_nest.flash.note'),
        session.data['_nest.flash.note'],
        session.has('_nest.flash.note'),
      ]).toEqual([...[undefined, undefined, false]]);
      expect([session.takeFlash('note'), session.takeFlash('note')]).toEqual([[['saved']], []]);
    });

    it('are all there, in the order in which they came, each under its key', () => {
      const { session } = anonymous();
      const numbers = Array.from({ length: 40 }, (_, index) => index);
      for (const number of numbers) session.flash('note', number);
      session.flash('note.error', 'no').flash('', 'nameless').flash('note', null);

      expect(session.takeFlash('note')).toEqual([...numbers, null]);
      expect([session.takeFlash('note.error'), session.takeFlash('')]).toEqual([['no'], ['nameless']]);
      expect([session.takeFlash('note'), session.isEmpty]).toEqual([[], true]);
    });

    it('stand behind what is stored already, whatever order the store gives and whoever had the wrong time', () => {
      const tail = 'f'.repeat(12);
      const at = (time: number) => `_nest.flash.note.${time.toString(36).padStart(9, '0')}${tail}`;
      const { session } = open({ [at(NOW + HOUR)]: '2', [at(NOW - HOUR)]: '1' });
      session.flash('note', 3).flash('note', 4);

      expect(session.takeFlash('note')).toEqual([1, 2, 3, 4]);
    });

    it('say how they are taken to who would take them by flash(key)', () => {
      const { session } = anonymous();
      const flash = session.flash.bind(session) as (key: string) => unknown;

      expect(() => flash('note')).toThrow(/session\.takeFlash\(key\)/);
      expect(session.isEmpty).toBe(true);
    });

    it("leave a session that has nothing else not empty: a redirect's message is kept", () => {
      const { session } = anonymous();
      session.flash('note', 'saved');

      expect(session.isEmpty).toBe(false);
    });

    it('live in names that nobody else can set', () => {
      const { session } = anonymous();
      const name = '_nest.flash.note.1';

      expect(() => session.set(name, 1)).toThrow('Names that begin with "_nest." belong to nest-session');
      expect(() => session.delete(name)).toThrow(SessionUsageError);
      expect(() => session.update({ [name]: 1 })).toThrow(SessionUsageError);
      expect(() => (session.data[name] = 1)).toThrow(SessionUsageError);
    });
  });

  describe('setExpiry', () => {
    const look = ({ expiresAt, expiryAge, expiresAtBrowserClose }: AnySession) => ({
      ...{ in: expiresAt.getTime() - NOW, expiryAge, expiresAtBrowserClose },
    });
    const after = (expiry: Parameters<AnySession['setExpiry']>[0]) => {
      const { session, calls } = open();
      session.setExpiry(expiry);
      return { ...look(session), calls };
    };
    const fixed = (milliseconds: number) => new Date(NOW + milliseconds);

    it.each<[string, Parameters<AnySession['setExpiry']>[0], number, boolean]>([
      ['a number of seconds is idle time', 90, 90_000, false],
      ['a text is idle time', '30m', 1_800_000, false],
      ['a Date is the end', fixed(5_000), 5_000, false],
      ["'browser' ends with the browser, and on the server after the idle timeout", 'browser', HOUR, true],
      ["0 is 'browser', as in Django", 0, HOUR, true],
      ['undefined is as the module says', undefined, HOUR, false],
    ])('%s', (_, expiry, milliseconds, browser) => {
      expect(after(expiry)).toEqual({
        ...{ in: milliseconds, expiryAge: milliseconds / 1_000, expiresAtBrowserClose: browser, calls: [] },
      });
    });

    it.each([
      ['a Date', fixed(-1)],
      ['a negative number, as in Django', -5],
    ])('%s in the past ends the session at the response', (_, expiry) => {
      const { session, state } = open({ n: '1' });
      session.setExpiry(expiry);

      expect(state.plan()).toEqual({ kind: 'end' });
      expect(session.expiryAge).toBeLessThanOrEqual(0);
    });

    it('in the past starts no session', () => {
      const { session, state } = anonymous();
      session.set('a', 1);
      session.setExpiry(fixed(-1));

      expect(state.plan()).toBeUndefined();
    });

    it.each<[string, Parameters<AnySession['setExpiry']>[0]]>([
      ['seconds', 100 * 3_600],
      ['a text', '30d'],
      ['a Date', fixed(1_000 * HOUR)],
    ])('beyond the absolute deadline (%s) ends there, and a warning says so', (_, expiry) => {
      expect(after(expiry)).toMatchObject({ in: 9 * HOUR, calls: ['beyondAbsolute'] });
    });

    it.each(['browser', undefined] as const)('%p never warns of the absolute deadline', (expiry) => {
      const { session, calls } = open({}, { expiresAt: NOW + 1_000, absoluteExpiresAt: NOW + 1_000 });
      session.setExpiry(expiry);

      expect([session.expiryAge, calls]).toEqual([1, []]);
    });

    it.each([NaN, Infinity, 'soon', '10', null, new Date(NaN), true, {}])('%p is an error', (expiry) => {
      const { session } = open();
      expect(() => session.setExpiry(expiry as never)).toThrow(SessionUsageError);
      expect(session.modified).toBe(false);
    });

    it('back to what is stored changes nothing', () => {
      const { session, state } = open({}, { policy: 'browser', lastSeenAt: NOW });
      session.setExpiry('5m');
      session.setExpiry('browser');

      expect([session.modified, state.plan()]).toEqual([false, undefined]);
    });

    it('is shown by no key', () => {
      const { session } = open();
      session.setExpiry('5m');

      expect([session.size, [...session.keys()]]).toEqual([0, []]);
    });
  });

  it('cycleId, flush, save and atomic ask for what they are called', async () => {
    const { session, state, calls } = open({ n: '1' });
    session.cycleId();
    expect(state.plan()).toMatchObject({ kind: 'rename' });

    await session.save();
    await session.flush();
    expect(await session.atomic('n', (n) => (n as number) + 1)).toBe(2);
    expect(calls).toEqual(['save', 'flush', 'atomic n']);
    await expect(session.atomic('_nest.flash.x', () => 1)).rejects.toThrow(SessionUsageError);
  });

  it('cycleId of a session that is not stored writes nothing', () => {
    const { session, state } = anonymous();
    session.cycleId();

    expect(state.plan()).toBeUndefined();
  });

  it('larger than maxSize is an error that names the largest values, before anything is written', () => {
    const { session, state } = open({ old: `"${'x'.repeat(500)}"` });
    session.set('new', 'y'.repeat(600));

    expect(() => state.plan()).toThrow(
      /maxSize is 1000\. Largest values: new \(605 bytes\), old \(505 bytes\)/,
    );
  });

  describe('shares no state between visitors, and says what to write in place of express-session', () => {
    const functionsOf = (prototype: object) =>
      Object.values(Object.getOwnPropertyDescriptors(prototype)).flatMap(({ get, set, value }) => [
        get,
        set,
        value,
      ]);

    it('has methods that can neither be assigned nor given properties', () => {
      const { session } = open();

      expect(() => ((session as { flash: unknown }).flash = {})).toThrow(SessionUsageError);
      expect(() => ((session.flash as unknown as Record<string, unknown>).info = ['secret'])).toThrow(
        TypeError,
      );
      expect(functionsOf(SessionView.prototype).every((each) => Object.isFrozen(each))).toBe(true);
      expect(Object.isFrozen(SessionView.prototype)).toBe(true);
    });

    it.each(['save', 'flush', 'load'])('%s(callback) throws at the call', (name) => {
      const method = (open().session as unknown as Record<string, (callback: () => void) => void>)[name];

      expect(() => method.call(open().session, () => undefined)).toThrow(`write await session.${name}()`);
    });

    it.each([
      ['regenerate', 'session.cycleId()'],
      ['destroy', 'session.flush()'],
      ['reload', 'loads its session once'],
      ['touch', 'stays alive by itself'],
    ])('%s() throws at the call', (name, instead) => {
      const session = open().session as unknown as Record<string, (callback: () => void) => void>;

      expect(() => session[name](() => undefined)).toThrow(instead);
      expect(Object.isFrozen(session[name])).toBe(true);
    });

    it.each([
      ['cookie', 'setExpiry'],
      ['id', 'session.handle'],
    ])('%s can neither be read nor assigned', (name, instead) => {
      const session = open().session as unknown as Record<string, unknown>;

      expect(() => session[name]).toThrow(instead);
      expect(() => (session[name] = 1)).toThrow(instead);
    });

    it.each([
      ['modified', 'changes are seen by themselves'],
      ['userId', 'auth.login(session, user)'],
    ])('%s = … says what to write', (name, instead) => {
      expect(() => ((open().session as unknown as Record<string, unknown>)[name] = true)).toThrow(instead);
    });
  });
});
