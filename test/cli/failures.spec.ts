import { writeFile } from 'node:fs/promises';
import { jest } from '@jest/globals';
import { Installation, type Outcome } from '../support/command-line.js';

jest.setTimeout(120_000);

let installation: Installation;
beforeAll(async () => {
  installation = await Installation.create(['esm']);
  await installation.addApplication('esm', 'test/cli/application', 'esm');
  await writeFile(installation.path('nothing.mjs'), 'console.log("it runs");\n');
  await writeFile(installation.path('broken.mjs'), 'throw new TypeError("it breaks");\n');
  await writeFile(installation.path('app.module.ts'), 'export enum AppModule {}\n');
});
afterAll(() => installation.remove());

const on = (module: string, ...args: string[]): Promise<Outcome> =>
  installation.run([...args, '--app', `esm/modules.js#${module}`]);

/** Nothing but a message: no result, and no stack. */
const expectFailure = ({ code, stdout, stderr }: Outcome, expectedCode: number, message: RegExp) => {
  expect(stderr).toMatch(message);
  expect(stderr.split(message)).toHaveLength(2); // told once
  expect([code, stdout]).toEqual([expectedCode, '']);
  expect(stderr).not.toMatch(/^ +at /m);
};

describe('wrong usage', () => {
  it.each([
    [[], /Usage: nest-session/],
    [['sweep'], /unknown command 'sweep'/],
    [['clear', '--batch-size', '0'], /whole number/],
    [['clear', '--pause', 'a while'], /unit such as '50ms'/],
    [['list'], /--user/],
    [['list', '--user', ''], /empty/],
    [['revoke', '--user', '7'], /--handle .* or --all/],
    [['revoke', '--user', '7', '--all', '--handle', 'a'], /cannot be used with/],
    [['stats', '--app', 'esm/modules.js#'], /no export after the #/],
    [['stats'], /no dist\/app\.module\.js .*NEST_SESSION_APP/],
  ])('ends with 2, and says what to write: %j', async (args, message) => {
    expectFailure(await installation.run(args), 2, message);
  });

  it('takes an empty NEST_SESSION_APP for none', async () => {
    const outcome = await installation.run(['stats'], { NEST_SESSION_APP: '' });
    expectFailure(outcome, 2, /no dist\/app\.module\.js/);
  });

  it('ends with 0 when help was asked for, which tells of the exit codes', async () => {
    const { code, stdout, stderr } = await installation.run(['revoke', '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/--handle.*Exit codes:.*130 /s);
  });
});

describe('an application that can’t be had', () => {
  it.each([
    ['a file that is not there', 'nowhere.js', /There is no nowhere\.js in .*: build the application first/],
    ['one that exports nothing', 'nothing.mjs', /exports no module \(it exports nothing\).*--app dist/],
    ['one that throws', 'broken.mjs', /broken\.mjs could not be loaded: it breaks/],
    ['TypeScript', 'app.module.ts', /it is TypeScript: name the compiled file/],
    ['one of several modules', 'esm/modules.js', /several modules \(DatabaseDown, .*#DatabaseDown/],
    ['an unknown export', 'esm/modules.js#Shop', /has no export Shop \(its exports are .*WithoutSessions/],
    ['an export that is no module', 'esm/modules.js#notAModule', /exports notAModule, which is no module/],
    ['a module without sessions', 'esm/modules.js#WithoutSessions', /no SessionModule among its imports/],
    ['wrong options', 'esm/modules.js#Misconfigured', /secret has fewer [^\n]*`npx nest-session secret`/],
  ])('ends with 1 for %s', async (_, app, message) => {
    expectFailure(await installation.run(['stats', '--app', app]), 1, message);
  });

  it('tells no password of a database that is down, and a stack only with --debug', async () => {
    const short = await on('DatabaseDown', 'stats');
    expectFailure(
      short,
      1,
      /^The application did not start: connect ECONNREFUSED postgres:\/\/…@db\.example/m,
    );
    expect(short.stderr).toContain('[Database] Unable to connect');
    const long = await on('DatabaseDown', 'stats', '--debug');
    expect(long.stderr).toMatch(/^ +at Unconnected\.onModuleInit/m);
    for (const { stderr } of [short, long]) expect(stderr).not.toContain('hunter2');
  });
});

it('ends with 1 and a message when something in the application throws that nobody catches', async () => {
  expectFailure(await on('Explosive', 'stats'), 1, /nobody waited for: socket to redis:\/\/…@cache closed$/m);
});

describe('a store that fails', () => {
  it.each([['clear'], ['revoke', '--user', '7', '--handle', 'a']])(
    'ends %s with 1, and tells neither key nor value, with --debug either',
    async (...args) => {
      const { code, stdout, stderr } = await on('Failing', ...args, '--debug');
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/The session store failed: Error: connection lost/);
      expect(stderr).not.toMatch(/of a visitor|0123456789abcdef/);
    },
  );
});

describe('a store that can’t do it', () => {
  it.each([
    [['clear'], /FourMethodStore has no deleteExpired\(\)/],
    [['list', '--user', '7'], /no findByUser\(\)/],
    [['revoke', '--user', '7', '--all'], /no deleteByUser\(\)/],
  ])('ends with 3: %j', async (args, message) => {
    expectFailure(await on('FourMethods', ...args), 3, message);
  });

  it('is shown as unknown in statistics', async () => {
    const { code, stdout } = await on('FourMethods', 'stats', '--json');
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      { store: 'FourMethodStore', living: null, expired: null, expiresByItself: false },
    ]);
    expect((await on('FourMethods', 'stats')).stdout).toMatch(/Living sessions +unknown/);
  });

  it('has nothing to clear when sessions expire by themselves, which is done with 0', async () => {
    expect(await on('Expiring', 'clear')).toMatchObject({
      code: 0,
      stdout: 'Sessions in ExpiringStore expire by themselves: there is nothing to clear.\n',
    });
    const json = await on('Expiring', 'clear', '--json', '--dry-run');
    expect(JSON.parse(json.stdout)).toEqual({ deleted: 0, expiresByItself: true });
    expect((await on('Expiring', 'stats')).stdout).toContain('they leave by themselves');
  });
});

describe('an application with habits', () => {
  it('neither stands among the results with what it prints, nor keeps the process by what it opened', async () => {
    const { code, stdout, stderr } = await on('Noisy', 'stats', '--json');
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ living: 0 })]);
    expect(stderr).toContain('a line of the application');
    expect(stderr).not.toContain('a line of a logger'); // errors alone
  });

  it('may be made by a function, found by the environment', async () => {
    const app = { NEST_SESSION_APP: 'esm/modules.js#configured' };
    const { code, stdout } = await installation.run(['stats', '--json'], app);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { store: 'MemorySessionStore' }]);
  });

  it('changes nothing about what was done when it does not close cleanly', async () => {
    const { code, stdout, stderr } = await on('WillNotClose', 'clear');
    expect([code, stdout]).toEqual([0, '0 expired sessions deleted.\n']);
    expect(stderr).toMatch(/^it will not close$/m); // told by Nest, without its stack
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it('loses a session to a revocation although it gets new ids meanwhile', async () => {
    const { code, stdout } = await on('Restless', 'revoke', '--user', '7', '--handle', 'restless', '--json');
    expect([code, JSON.parse(stdout)]).toEqual([0, { revoked: 1 }]);
  });
});

describe('nest-session secret', () => {
  it('prints a new secret of 256 bits, and says apart from it how to roll it out', async () => {
    const [one, other] = [await installation.run(['secret']), await installation.run(['secret'])];
    expect(one.code).toBe(0);
    expect(one.stdout).toMatch(/^[\w-]{43}\n$/);
    expect(one.stdout).not.toBe(other.stdout);
    expect(one.stderr).toMatch(/secret: \[old, new\].*secret: \[new, old\]/s);
    expect(one.stderr).not.toContain(one.stdout.trim());
  });

  it('prints JSON too', async () => {
    const { stdout } = await installation.run(['secret', '--json']);
    expect(JSON.parse(stdout)).toEqual({ secret: expect.stringMatching(/^[\w-]{43}$/) });
  });
});
