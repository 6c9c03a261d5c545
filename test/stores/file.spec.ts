import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileSessionStore } from 'nest-session';
import { describeSessionStore } from 'nest-session/testing';

describe('FileSessionStore', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'nest-session-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  describeSessionStore('on two handles', async ({ clock }) => new FileSessionStore({ directory }, clock), {
    openAnother: async ({ clock }) => new FileSessionStore({ directory }, clock),
    breakIt: async () => {
      await rm(directory, { recursive: true });
      await writeFile(directory, 'a file where the directory was');
    },
  });

  describeSessionStore(
    'whose disk went away',
    async ({ clock }) => new FileSessionStore({ directory }, clock),
    {
      breakIt: () => rm(directory, { recursive: true }),
    },
  );
});
