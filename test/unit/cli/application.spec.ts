import { jest } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { closeApplication } from '../../../lib/cli/application.js';
import type { Terminal } from '../../../lib/cli/terminal.js';

/** Closes an application that does `close`, and gives what was told of it. */
async function notesOf(close: () => Promise<void>): Promise<string[]> {
  const notes: string[] = [];
  const terminal = { note: (line: string) => notes.push(line) } as unknown as Terminal;
  await closeApplication({ close } as INestApplicationContext, terminal);
  return notes;
}

describe('closing the application', () => {
  it('is silent when all goes well', async () => {
    expect(await notesOf(async () => undefined)).toEqual([]);
  });

  it('is told of when it fails, and fails nothing', async () => {
    const notes = await notesOf(async () => {
      throw new Error('postgres://me:pw@db is gone');
    });
    expect(notes).toEqual(['The application did not close cleanly: postgres://…@db is gone']);
  });

  it('is not waited for for ever', async () => {
    jest.useFakeTimers();
    try {
      const notes = notesOf(() => new Promise(() => undefined));
      await jest.advanceTimersByTimeAsync(10_000);
      expect(await notes).toEqual(['The application did not close within 10 s: left as it is.']);
    } finally {
      jest.useRealTimers();
    }
  });
});
