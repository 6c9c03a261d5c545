/** What examples, tutorials and tests make their secrets of. A random text is never made of these alone. */
const WORDS = new Set(
  (
    'a an the this that it is be by of to in on at as for from with and or not no than then here there your my our ' +
    'you i we me us any anybody anything some other another must should shall can will do does use used put go goes ' +
    'please change changed changeme replace insert set enter only just very super top really so too more most less ' +
    'least long longer short enough at min minimum max good strong secure safe unsafe insecure random unique new old ' +
    'secret secrets key keys session sessions cookie cookies token tokens jwt auth hash salt sign signing signature ' +
    'encryption password passwords pass phrase passphrase pwd keyboard cat cats dog mouse shh hush foo bar baz qux ' +
    'hello world lorem ipsum dolor sit amet correct horse battery staple example examples sample demo default dummy ' +
    'test tests testing tested dev develop development local localhost prod production staging env environment ' +
    'string text value letter letters char chars character characters byte bytes bit bits digit digits one two ten ' +
    'sixteen twenty thirty sixty thirtytwo four eight word words my app apps application server website site web ' +
    'express fastify nest nestjs node nodejs django laravel flask rails admin root user users something somebody ' +
    'public known everybody everyone nobody knows qwerty asdf abc abcdef xyz abcdefghijklmnopqrstuvwxyz'
  ).split(' '),
);

/** Texts of our own documents that have random characters in them. */
const PUBLISHED = new Set(['only for this test: 9f2c7b1e4d8a6035']);

/** Of 32 random hexadecimal digits at least 6 differ, but for one in a trillion such texts. */
const MIN_DISTINCT = 6;
const MIN_PIECE = 32;

/**
 * Whether others can guess a secret: it is made of the words of examples, has few different characters, repeats a short
 * text, or counts up or down.
 */
export function isGuessable(secret: string): boolean {
  return (
    PUBLISHED.has(secret) ||
    new Set(secret).size < MIN_DISTINCT ||
    isOfExampleWords(secret) ||
    isRepetition(secret) ||
    isSequence(secret)
  );
}

function isOfExampleWords(secret: string): boolean {
  const words = secret
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+|(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])/);
  return words.every((word) => word === '' || WORDS.has(word) || /^\d{1,4}$/.test(word) || isSequence(word));
}

/** @returns whether it is one text of fewer than 32 characters again and again, the last time perhaps not to its end */
function isRepetition(secret: string): boolean {
  for (let length = 1; length < MIN_PIECE && length * 2 <= secret.length; length++)
    if (secret.startsWith(secret.slice(length))) return true;
  return false;
}

/** `0123456789…`, `abcdef…` and back: most characters are the neighbours of those before. */
function isSequence(text: string): boolean {
  const steps = [...text].slice(1).map((each, index) => each.charCodeAt(0) - text.charCodeAt(index));
  return steps.length > 4 && steps.filter((step) => Math.abs(step) <= 1).length > steps.length * 0.7;
}
