import fc from 'fast-check';
import {
  capacityOf,
  isChunkOf,
  joinCookies,
  MAX_CHUNKS,
  presentNames,
  splitIntoCookies,
} from '../../lib/backends/cookie/chunks.js';
import type { CookieToSet } from '../../lib/backends/session-backend.js';

const ALPHABET = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'];
const place = (name = 'sessionid', attributeBytes = 60) => ({ name, attributeBytes });
const text = (length: number, first = 'A') => first.repeat(8) + 'x'.repeat(length - 8);
const split = (whole: string, where = place()) =>
  splitIntoCookies({ text: whole, count: Math.ceil(whole.length / capacityOf(where)) }, where);
const headerOf = (cookies: CookieToSet[]) => cookies.map(({ name, value }) => `${name}=${value}`).join('; ');

/** The texts of a header, and how often something was missing. */
function join(header: string, name = 'sessionid') {
  let incomplete = 0;
  const texts = joinCookies(header, name, () => incomplete++);
  return { texts, incomplete };
}

describe('a text in several cookies', () => {
  it('comes back whole, in whatever order the browser sends them, and no cookie is longer than 4,096 bytes', () => {
    const anyText = fc
      .tuple(
        fc.array(fc.constantFrom(...ALPHABET), { minLength: 8, maxLength: 16 }),
        fc.integer({ min: 1, max: 5000 }),
      )
      .map(([letters, times]) => letters.join('').repeat(times).slice(0, 50_000));
    const anyPlace = fc.record({
      name: fc.constantFrom('s', 'sessionid', '__Host-sessionid', 'n'.repeat(128)),
      attributeBytes: fc.integer({ min: 0, max: 500 }),
    });
    fc.assert(
      fc.property(anyText, anyPlace, fc.infiniteStream(fc.nat()), (whole, where, order) => {
        const cookies = split(whole, where);
        for (const { name, value } of cookies)
          expect(`${name}=${value}`.length + where.attributeBytes).toBeLessThanOrEqual(4096);
        const shuffled = [...cookies].sort(() => (order.next().value % 3) - 1);
        const header = `a=1; ${headerOf(shuffled)}; b=2`;

        expect(join(header, where.name)).toEqual({
          texts: [{ text: whole, count: cookies.length }],
          incomplete: 0,
        });
        expect(presentNames(header, where.name).sort()).toEqual(cookies.map(({ name }) => name).sort());
      }),
    );
  });

  it('is one cookie up to the last byte that fits, and two from there on', () => {
    const most = capacityOf(place());
    expect(split(text(most))).toHaveLength(1);
    expect(split(text(most + 1)).map(({ name }) => name)).toEqual(['sessionid', 'sessionid.1']);
  });

  it('keeps a prefix in front in every name', () => {
    const names = split(text(9000), place('__Host-sessionid')).map(({ name }) => name);
    expect(names).toEqual(['__Host-sessionid', '__Host-sessionid.1', '__Host-sessionid.2']);
  });

  it('has no room where name and attributes leave none', () => {
    expect(capacityOf(place('sessionid', 5000))).toBe(0);
  });
});

describe('a Cookie header', () => {
  const three = split(text(9000));
  const other = split(text(9000, 'B'));

  it.each([1, 2])('without cookie %d of three holds nothing, and tells so', (missing) => {
    const header = headerOf(three.filter((_, index) => index !== missing));
    expect(join(header)).toEqual({ texts: [], incomplete: 1 });
  });

  it('without the first of three holds nothing', () => {
    expect(join(headerOf(three.slice(1)))).toEqual({ texts: [], incomplete: 0 });
  });

  it('with cookies of two texts mixed holds neither', () => {
    expect(join(headerOf([three[0], other[1], three[2]]))).toEqual({ texts: [], incomplete: 1 });
  });

  it('with two whole texts, from two paths, holds both', () => {
    const { texts } = join(headerOf([...three, ...other]));
    expect(texts.map((each) => each.text)).toEqual([text(9000), text(9000, 'B')]);
  });

  it('with the same text twice holds it once', () => {
    expect(join(headerOf([...three, ...three])).texts).toHaveLength(1);
  });

  it('with left-over cookies behind a shorter text holds that text', () => {
    const [short] = split(text(100, 'C'));
    const header = headerOf([short, ...three.slice(1)]);

    expect(join(header).texts).toEqual([{ text: text(100, 'C'), count: 1 }]);
    expect(presentNames(header, 'sessionid')).toEqual(['sessionid', 'sessionid.1', 'sessionid.2']);
  });

  it.each([
    ['empty', ''],
    ['blank', ' '],
    ['null', 'null'],
    ['undefined', 'undefined'],
    ['without a version', text(100)],
    ['of another version', `2.1.${text(100)}`],
    ['of no cookies', `1.0.${text(100)}`],
    ['of a count with a zero in front', `1.01.${text(100)}`],
    ['of more cookies than there can be', `1.${MAX_CHUNKS + 1}.${text(100)}`],
    ['of a count that is no number', `1.x.${text(100)}`],
    ['without a text', '1.1.'],
    ['in quotes', `"1.1.${text(100)}"`],
    ['of other characters', '1.1.{"userId":"admin"}'],
  ])('with a value that is %s holds nothing', (_, value) => {
    expect(join(`sessionid=${value}`).texts).toEqual([]);
    expect(presentNames(`sessionid=${value}`, 'sessionid')).toEqual(['sessionid']);
  });

  it('with garbage beside the text holds the text', () => {
    const header = `sessionid=garbage; sessionid.1=garbage; ${headerOf(three)}; sessionid=1.1.x; sessionid.2=y`;
    expect(join(header).texts.map((each) => each.text)).toContain(text(9000));
  });

  it('with very many values is not looked at to its end', () => {
    const many = Array.from({ length: 1000 }, (_, i) => `sessionid=1.1.${i.toString().padStart(8, 'a')}`);
    expect(join(many.join('; ')).texts).toHaveLength(8);
  });

  it('with other names that begin alike holds nothing', () => {
    expect(presentNames('sessionidx=1; sessionid1=2; xsessionid.1=3', 'sessionid')).toEqual([]);
  });
});

it('knows the further cookies of a name', () => {
  expect(isChunkOf('sessionid', 'sessionid.1')).toBe(true);
  expect(['sessionid', 'sessionid1', 'x.1'].map((name) => isChunkOf('sessionid', name))).toEqual(
    Array(3).fill(false),
  );
});

it('a text is found behind any number of malformed cookies of its name', () => {
  const malformed = Array.from({ length: 20 }, (_, index) => `sessionid=garbage${index}`).join('; ');
  const whole = text(100);

  expect(join(`${malformed}; ${headerOf(split(whole))}`).texts).toEqual([{ text: whole, count: 1 }]);
});
