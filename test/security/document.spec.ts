import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import ts from 'typescript';

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
const document = await read('docs/security.md');

/** `file` › `title` · `title`: each title stands in the file, as that of a test or a group of tests. */
const named = [...document.matchAll(/`((?:lib|test)\/[^`\s]+\.ts)`((?: [›·] `[^`]+`)*)/g)].flatMap(
  ([, file, titles]) => [...titles.matchAll(/`([^`]+)`/g)].map(([, title]) => [file, title] as const),
);

/** The titles of all tests and groups in a file, as they are written: `%s` and all. Those that are skipped do not count. */
function titlesIn(source: string): Set<string> {
  const titles = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /^(it|describe|describeLaw)(\.each)?$/.test(calleeOf(node))) {
      const [title] = node.arguments;
      if (title && ts.isStringLiteralLike(title)) titles.add(title.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('a.ts', source, ts.ScriptTarget.Latest));
  return titles;
}

/** `it`, `it.each`, `it.skip`; of `it.each(rows)('title')` it is `it.each`. */
function calleeOf({ expression }: ts.CallExpression | ts.PropertyAccessExpression): string {
  if (ts.isIdentifier(expression)) return expression.text;
  if (ts.isCallExpression(expression)) return calleeOf(expression);
  if (ts.isPropertyAccessExpression(expression)) return `${calleeOf(expression)}.${expression.name.text}`;
  return '';
}

describe('docs/security.md', () => {
  it('names tests', () => {
    expect(named.length).toBeGreaterThan(80);
    const files = [...document.matchAll(/`((?:lib|test)\/[^`\s]+\.ts)`(?! ›)/g)].map(([, file]) => file);
    expect(files).toEqual([]); // a file says nothing without the title of a test
  });

  it.each(named)('%s has the test "%s"', async (file, title) => {
    expect(titlesIn(await read(file))).toContain(title);
  });

  it('answers each requirement of chapter V7 once, in its order', () => {
    const sections = [3, 4, 2, 5, 3, 2]; // how many requirements 7.1 to 7.6 have in ASVS 5.0
    const all = sections.flatMap((count, section) =>
      Array.from({ length: count }, (_, index) => `7.${section + 1}.${index + 1}`),
    );
    expect([...document.matchAll(/^\| (7\.\d\.\d) /gm)].map(([, number]) => number)).toEqual(all);
  });

  it('shows the configurations that are tested', async () => {
    const source = await read('test/security/assurance-levels.ts');
    expect(document).toContain(`\n\`\`\`ts\n${source}\`\`\`\n`);
  });

  it('links to files that are there, and is linked to', async () => {
    const links = [...document.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path]) => path);
    expect(links.filter((path) => !existsSync(new URL(`../../docs/${path}`, import.meta.url)))).toEqual([]);
    for (const page of ['README.md', 'SECURITY.md']) expect(await read(page)).toContain('(docs/security.md)');
  });
});
