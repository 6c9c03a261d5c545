import { readdir, readFile } from 'node:fs/promises';

const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');

it.each([
  ['events.md', 'metrics.ts'],
  ['events.md', 'clear-sessions.job.ts'],
  ...[
    'other-site.ts',
    'payment.controller.ts',
    'tracker.ts',
    'tenant.interceptor.ts',
    'encrypted-values.ts',
    'rich-values.ts',
    'cart.ts',
    'cart.spec.ts',
  ].map((name) => ['recipes.md', name]),
])('docs/%s shows %s word for word, as it is tested', async (document, name) => {
  const [page, code] = await Promise.all([
    read(`../../docs/${document}`),
    read(`../../docs/examples/${name}`),
  ]);
  expect(page).toContain('```ts\n' + code + '```');
});

it('every file of docs/examples is shown somewhere', async () => {
  const folder = new URL('../../docs/', import.meta.url);
  const pages = (await readdir(folder)).filter((name) => name.endsWith('.md'));
  const text = (await Promise.all(pages.map((page) => read(`../../docs/${page}`)))).join('\n');
  for (const name of await readdir(new URL('examples/', folder)))
    expect([name, text.includes(await read(`../../docs/examples/${name}`))]).toEqual([name, true]);
});
