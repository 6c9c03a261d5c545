import { spawnSync } from 'node:child_process';

/**
 * Describes what needs a pseudo-terminal, which `script` of util-linux makes (Debian: bsdutils). Skipped where there is
 * none; with REQUIRE_SERVICES=1 that is an error.
 */
export function describeInTerminal(title: string, body: () => void): void {
  const isThere = spawnSync('script', ['-qefc', 'exit 42', '/dev/null']).status === 42;
  const help = 'No `script` of util-linux here, which makes pseudo-terminals';
  if (!isThere && process.env.REQUIRE_SERVICES === '1') throw new Error(`${help}.`);
  if (!isThere) process.stderr.write(`${help}: tests that need one are skipped.\n`);
  (isThere ? describe : describe.skip)(title, body);
}
