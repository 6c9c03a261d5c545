import { readFile } from 'node:fs/promises';

const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');

it.each(['metrics.ts', 'clear-sessions.job.ts'])(
  'docs/events.md shows %s word for word, as it is tested',
  async (name) => {
    const [page, code] = await Promise.all([
      read('../../docs/events.md'),
      read(`../../docs/examples/${name}`),
    ]);
    expect(page).toContain('```ts\n' + code + '```');
  },
);
