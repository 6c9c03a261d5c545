import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import type { Surroundings } from './on-store.js';

const ROLL_OUT = `
Keep it where your application reads its configuration, and out of the code. To replace a secret and log nobody out:
  1. secret: [old, new]   everywhere, so that every process accepts the new one
  2. secret: [new, old]   everywhere: from now on cookies are signed with the new one
  3. secret: [new]        after absoluteTimeout (30 days by default), or at once if the old one is known to others,
                          which logs everybody out whose cookie is still signed with it
`;

export function addSecretCommand(program: Command, { terminal }: Surroundings): void {
  program
    .command('secret')
    .description('print a new secret to sign cookies with')
    .option('--json', 'print the result as one line of JSON')
    .action(({ json }: { json?: boolean }) => {
      const secret = randomBytes(32).toString('base64url');
      if (json) terminal.printJson({ secret });
      else terminal.print(secret);
      terminal.note(ROLL_OUT);
    });
}
