import assert from 'node:assert/strict';
import { aChange, aRecord, newKey } from '../builders.js';
import type { Subject, TestRunner } from './subject.js';

/** So long may the id of a user be; its random beginning takes some of it. */
const LONGEST = 255;
const BEGINNING = 16;

/**
 * Ids that an index, a collation, a pattern or a padded column takes for one: what they differ in, and both. Each gets
 * the same random beginning, so that no other test's user is meant.
 */
const ALIKE: readonly (readonly [what: string, one: string, other: string])[] = [
  ['case', 'k3yAbC', 'K3YABC'],
  ['case outside of ASCII', 'ÄÖÜ', 'äöü'],
  ['accents', 'k3yabc', 'k3yàbc'],
  ['composed and decomposed letters', '\u00e9', 'e\u0301'],
  ['letters that sort alike', 'ß', 'ss'],
  ['a trailing blank', 'k3y', 'k3y '],
  ['the number of trailing blanks', 'k3y ', 'k3y  '],
  ['a trailing line break', 'k3y', 'k3y\n'],
  ['characters that are not seen', 'k3y', 'k3y\u200b'],
  ['characters beyond 16 bits', '\u{1f600}', '\u{1f601}'],
  ['zeros before a number', '7', '07'],
  ['placeholders of SQL', 'k_y%', 'k3yAbC'],
  ['placeholders of Redis', 'k?y*', 'k3yAbC'],
  ['what separates parts of a name', 'k3y', 'k3y:1'],
  ['its last character of 255', `${filledWith('x')}a`, `${filledWith('x')}b`],
  ['its last character of 255, of three bytes each', `${filledWith('語')}一`, `${filledWith('語')}語`],
];

function filledWith(character: string): string {
  return character.repeat(LONGEST - BEGINNING - 1);
}

function newBeginning(): string {
  return newKey().slice(0, BEGINNING);
}

/** Nobody reaches another's sessions by an id that is nearly theirs: ids compare character by character. */
export function userIds({ describe, it }: TestRunner, subject: Subject): void {
  const handleOf = async (key: string) => (await subject.store.load(key))?.handle;
  const keysOf = async (userId: string) =>
    (await subject.store.findByUser(userId)).map(({ key }) => key).sort();
  const sessionOf = async (userId: string): Promise<string> => {
    const key = newKey();
    assert.equal(await subject.store.create(key, aRecord({ userId })), true);
    assert.equal((await subject.store.load(key))?.userId, userId, 'the id comes back as it was given');
    return key;
  };

  /** @param beginning of both: random, so that the users are fresh */
  const expectApart = async (one: string, another: string, beginning = newBeginning()): Promise<void> => {
    const [userId, other] = [beginning + one, beginning + another];
    const [mine, also, theirs] = [await sessionOf(userId), await sessionOf(userId), await sessionOf(other)];
    assert.deepEqual(await keysOf(userId), [mine, also].sort());
    assert.deepEqual(await keysOf(other), [theirs]);

    const exceptHandle = await handleOf(mine);
    assert.equal(await subject.store.deleteByUser(other, { exceptKey: theirs }), 0);
    assert.equal(await subject.store.deleteByUser(userId, { exceptKey: mine, exceptHandle }), 1);
    assert.deepEqual(await keysOf(userId), [mine]);
    assert.deepEqual(await keysOf(other), [theirs]);

    assert.equal(await subject.store.deleteByUser(userId, { exceptHandle: await handleOf(theirs) }), 1);
    assert.deepEqual(await keysOf(userId), []);
    assert.deepEqual(await keysOf(other), [theirs], "the other user's session is untouched");
  };

  describe('the id of a user', () => {
    for (const [what, one, other] of ALIKE) {
      it(`is another one when it differs in ${what}`, async () => {
        await expectApart(one, other);
        await expectApart(other, one);
      });
    }

    it('is another one after an authentication, too', async () => {
      const beginning = newBeginning();
      const [one, other, key] = [`${beginning}k3yAbC`, `${beginning}K3YABC`, newKey()];
      const theirs = await sessionOf(other);
      const { absoluteExpiresAt } = aRecord();
      await subject.store.rename(
        await sessionOf(other),
        key,
        aChange({ authentication: { userId: one, absoluteExpiresAt } }),
      );
      assert.deepEqual(await keysOf(one), [key]);
      assert.deepEqual(await keysOf(other), [theirs]);
      assert.equal(await subject.store.deleteByUser(one), 1);
      assert.deepEqual(await keysOf(other), [theirs]);
    });

    it('with a NUL is kept exactly, or refused: it is never cut off there', async () => {
      const beginning = newBeginning();
      const [plain, cut, whole] = ['k3y', 'k3y\0', 'k3y\0a'].map((id) => beginning + id);
      const theirs = await sessionOf(plain);
      if (await isRefused(subject, cut)) {
        for (const id of [cut, whole]) await subject.store.deleteByUser(id).catch(() => undefined);
        assert.deepEqual(await keysOf(plain), [theirs]);
        return;
      }
      await expectApart('k3y', 'k3y\0');
      await expectApart('k3y\0', 'k3y');
      await expectApart('k3y\0a', 'k3y\0b');
    });
  });
}

/** Some databases know no NUL in a text (PostgreSQL). @returns whether the store threw, and kept nothing */
async function isRefused(subject: Subject, userId: string): Promise<boolean> {
  const key = newKey();
  const outcome = await subject.store.create(key, aRecord({ userId })).catch(() => 'refused');
  if (outcome === 'refused') assert.equal(await subject.store.load(key), undefined, 'it refused and stored');
  else await subject.store.delete(key);
  return outcome === 'refused';
}
