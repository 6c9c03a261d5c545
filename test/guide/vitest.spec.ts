import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

describe('the contract suite under Vitest', () => {
  it("runs on the guide's store, and passes", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nest-session-'));
    const report = join(folder, 'report.json');
    const options = [
      'run',
      '--config',
      path('vitest.config.js'),
      '--reporter=json',
      `--outputFile=${report}`,
    ];
    // What Jest puts into the environment of its own tests is none of Vitest's.
    const { NODE_ENV: _1, JEST_WORKER_ID: _2, NODE_OPTIONS: _3, ...env } = process.env;
    try {
      await promisify(execFile)(
        process.execPath,
        [path('../../node_modules/vitest/vitest.mjs'), ...options],
        { env },
      );
      const { numPassedTests, numTotalTests } = JSON.parse(await readFile(report, 'utf8'));
      expect(numPassedTests).toBe(numTotalTests);
      expect(numPassedTests).toBeGreaterThan(100);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 120_000);
});
