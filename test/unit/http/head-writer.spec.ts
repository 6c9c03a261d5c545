import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { HeadWriter } from '../../../lib/http/head-writer.js';

const newResponse = () => new ServerResponse(new IncomingMessage(new Socket()));
const make = (args?: unknown[], response = newResponse()) => ({
  response,
  head: new HeadWriter(response, args),
});

describe('HeadWriter', () => {
  describe('reads and writes headers in each form that writeHead takes', () => {
    const object = { 'content-type': 'a/b', vary: 'Origin' };

    it.each<[string, unknown[]]>([
      ['an object', [200, object]],
      ['an object after a reason', [200, 'OK', object]],
      ['an object after no reason', [200, undefined, object]],
      ['a flat list', [200, ['content-type', 'a/b', 'vary', 'Origin']]],
      ['a flat list after a reason', [200, 'OK', ['content-type', 'a/b', 'vary', 'Origin']]],
      ['a list of pairs', [200, Object.entries(object)]],
      ['a list of pairs after a reason', [200, 'OK', Object.entries(object)]],
    ])('%s', (_, args) => {
      const { head, response } = make(args);
      expect(head.values('Vary')).toEqual(['Origin']);
      head.set('Vary', 'Origin, Cookie');
      head.set('Set-Cookie', ['a=1']);

      expect(head.arguments?.slice(0, -1)).toEqual(args[1] === 'OK' ? [200, 'OK'] : [200]);
      expect({ ...(head.arguments?.at(-1) as object) }).toEqual({
        ...{ 'content-type': 'a/b', vary: 'Origin, Cookie', 'Set-Cookie': ['a=1'] },
      });
      expect(response.getHeaderNames()).toEqual([]);
    });

    it.each<[string, unknown[] | undefined]>([
      ['no writeHead', undefined],
      ['a status alone', [200]],
      ['a status and a reason', [200, 'OK']],
      ['null for headers', [200, null]],
    ])('%s: on the response', (_, args) => {
      const { head, response } = make(args);
      head.set('Vary', 'Cookie');

      expect([response.getHeader('vary'), head.arguments]).toEqual(['Cookie', args]);
      expect(head.values('VARY')).toEqual(['Cookie']);
    });
  });

  it("does not change the caller's object or list, which may serve every answer", () => {
    for (const given of [Object.freeze({ Vary: 'a' }), Object.freeze(['Vary', 'a'])]) {
      const args = Object.freeze([200, given]);
      make(args as unknown[]).head.set('Vary', 'b');
      expect(args[1]).toBe(given);
    }
  });

  it('keeps the spelling that was there, whatever the case', () => {
    const { head } = make([200, { 'cAcHe-CoNtRoL': 'public' }]);
    head.set('Cache-Control', 'private');
    expect({ ...(head.arguments?.[1] as object) }).toEqual({ 'cAcHe-CoNtRoL': 'private' });
  });

  it('collects a name that comes several times in a list, however it is spelt', () => {
    const list = ['Set-Cookie', 'a=1', 'x', '1', 'set-cookie', 'b=2', 'SET-COOKIE', 'c=3'];
    expect(make([200, list]).head.values('Set-Cookie')).toEqual(['a=1', 'b=2', 'c=3']);
  });

  it.each([
    ['an object', JSON.parse('{"__proto__": "x", "a": "1"}') as object],
    ['a list', ['__proto__', 'x', 'a', '1']],
  ])('takes __proto__ for a name as any other (%s)', (_, headers) => {
    const { head } = make([200, headers]);
    head.set('b', '2');
    expect(Object.entries(head.arguments?.[1] as object)).toEqual([
      ...[
        ['__proto__', 'x'],
        ['a', '1'],
        ['b', '2'],
      ],
    ]);
    expect(head.values('toString')).toEqual([]);
  });

  describe('reads headers that come from both sides', () => {
    const response = newResponse();
    response.setHeader('Set-Cookie', ['a=1', 'b=2']);
    response.setHeader('Vary', 'Origin');
    response.setHeader('Cache-Control', 'public');
    response.setHeader('Age', 5);
    const { head } = make(
      [200, { 'set-cookie': ['b=2', 'c=3'], vary: 'Accept', 'cache-control': 'no-cache' }],
      response,
    );

    it.each([
      ['Set-Cookie', ['a=1', 'b=2', 'c=3']],
      ['Vary', ['Origin', 'Accept']],
      ['Cache-Control', ['no-cache']],
      ['Age', ['5']],
      ['X', []],
    ])('%s: %j', (name, values) => {
      expect(head.values(name)).toEqual(values);
    });
  });
});
