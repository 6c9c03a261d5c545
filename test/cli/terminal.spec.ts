import { jest } from '@jest/globals';
import { aRecord, newKey } from 'nest-session/testing';
import { Installation } from '../support/command-line.js';
import { SeededDatabase } from '../support/seeded-database.js';
import { describeInTerminal } from '../support/terminals.js';

const SECRET = 'a secret for tests, of more than 32 characters';
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const MANY = 200_000;

jest.setTimeout(120_000);

let installation: Installation;
let database: SeededDatabase;
beforeAll(async () => {
  installation = await Installation.create(['esm']);
  await installation.addApplication('esm', 'test/cli/application', 'esm');
});
afterAll(() => installation.remove());
beforeEach(async () => {
  database = await SeededDatabase.create();
});
afterEach(() => database.drop());

const onDatabase = (...args: string[]) =>
  [[...args, '--app', 'esm/app.module.js'], { DATABASE: database.file, SECRET }] as const;

/** The count in the last line that says how many were deleted. */
const deletedIn = (output: string) => Number(/(\d+) expired sessions? deleted/.exec(output)?.[1]);

describeInTerminal('nest-session on a terminal', () => {
  it('shows how far it is by a bar', async () => {
    await database.addExpired(3_000);
    const { code, stdout } = await installation.startInTerminal(...onDatabase('clear')).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/█+ +100% \| 3000 of 3000/);
    expect(stdout).toContain('3000 expired sessions deleted.');
  });

  it('shows no bar with --json', async () => {
    await database.addExpired(10);
    const { stdout } = await installation.startInTerminal(...onDatabase('clear', '--json')).ended;
    expect(JSON.parse(stdout)).toEqual({ deleted: 10, interrupted: false });
  });

  it('ends at Ctrl-C after the batch in hand, and says what was done', async () => {
    await database.addExpired(MANY);
    const clear = installation.startInTerminal(...onDatabase('clear', '--batch-size', '500'));
    await clear.printed(/[1-9]\d*% \|/);
    clear.type(CTRL_C);
    const { code, stdout } = await clear.ended;
    expect(code).toBe(130);
    const deleted = deletedIn(stdout);
    expect(deleted).toBeGreaterThan(0);
    expect(deleted).toBeLessThan(MANY);
    expect(await database.rows()).toBe(MANY - deleted);
    expect(stdout).toContain('run it again for the rest');
  });

  it('ends at once at the second Ctrl-C', async () => {
    const stuck = installation.startInTerminal(['clear', '--app', 'esm/modules.js#Stuck']);
    await stuck.printed(/stuck/);
    stuck.type(CTRL_C);
    await stuck.printed(/Ctrl-C again/);
    stuck.type(CTRL_C);
    expect((await stuck.ended).code).toBe(130);
  });

  describe('before a revocation', () => {
    const key = newKey();
    beforeEach(() => database.store.create(key, aRecord({ userId: '7', handle: 'laptop' })));

    const revoke = async (keys: string, ...args: string[]) => {
      const command = installation.startInTerminal(...onDatabase('revoke', '--user', '7', '--all', ...args));
      await command.printed(/\[y\/N\]/);
      command.type(keys);
      return command.ended;
    };

    it('shows what will end, asks, and does it after a yes', async () => {
      const { code, stdout } = await revoke('y\r');
      expect([code, await database.store.count()]).toEqual([0, 0]);
      expect(stdout).toMatch(/laptop .*End 1 session of user 7\? \[y\/N\].*1 session of user 7 ended\./s);
    });

    it.each([
      ['anything but a yes', 'n\r'],
      ['Enter alone', '\r'],
      ['Ctrl-D', CTRL_D],
      ['Ctrl-C', CTRL_C],
    ])('ends nothing after %s', async (_, keys) => {
      const { code } = await revoke(keys);
      expect([code, await database.store.count()]).toEqual([130, 1]);
    });

    it('does not ask with --yes', async () => {
      const command = onDatabase('revoke', '--user', '7', '--handle', 'laptop', '--yes');
      const { code, stdout } = await installation.startInTerminal(...command).ended;
      expect([code, await database.store.count()]).toEqual([0, 0]);
      expect(stdout).not.toContain('[y/N]');
    });
  });
});

describe('nest-session, told to stop without a terminal', () => {
  it('ends at SIGTERM in the middle of a clear, in plain lines', async () => {
    await database.addExpired(3_000);
    const clear = installation.start(...onDatabase('clear', '--batch-size', '100', '--pause', '300ms'));
    await clear.printed(/^\d+ deleted$/m); // a line a second
    clear.child.kill('SIGTERM');
    const { code, stdout, stderr } = await clear.ended;
    expect(code).toBe(130);
    expect(deletedIn(stdout)).toBeLessThan(3_000);
    expect(await database.rows()).toBe(3_000 - deletedIn(stdout));
    expect(stdout).not.toMatch(/%|█/);
    expect(stderr).not.toMatch(/%|█/);
  });

  it('says so in JSON', async () => {
    await database.addExpired(3_000);
    const clear = installation.start(
      ...onDatabase('clear', '--json', '--batch-size', '100', '--pause', '1s'),
    );
    while ((await database.rows()) === 3_000) await new Promise((resolve) => setTimeout(resolve, 20));
    clear.child.kill('SIGINT');
    const { code, stdout } = await clear.ended;
    expect([code, JSON.parse(stdout)]).toEqual([130, { deleted: 100, interrupted: true }]);
  });

  it('need not wait for an application that does not start', async () => {
    const stats = installation.start(['stats', '--app', 'esm/modules.js#NeverStarts']);
    await stats.printed(/starting/);
    stats.child.kill('SIGINT');
    expect(await stats.ended).toMatchObject({ code: 130, stdout: '' });
  });
});
