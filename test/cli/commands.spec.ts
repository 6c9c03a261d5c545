import { jest } from '@jest/globals';
import { aRecord, newKey } from 'nest-session/testing';
import { Installation, type Outcome } from '../support/command-line.js';
import { SeededDatabase } from '../support/seeded-database.js';

const SECRET = 'a secret for tests, of more than 32 characters';
const HOUR = 3_600_000;

jest.setTimeout(120_000); // each command is a process that starts an application: seconds, on a busy machine

let installation: Installation;
let database: SeededDatabase;
beforeAll(async () => {
  installation = await Installation.create();
  await installation.addApplication('esm', 'test/cli/application', 'esm');
  await installation.addApplication('cjs', 'test/cli/application', 'cjs');
  await installation.addApplication('shop/dist', 'sample/shop/src', 'esm');
});
afterAll(() => installation.remove());

beforeEach(async () => {
  database = await SeededDatabase.create();
});
afterEach(() => database.drop());

const runOn = (format: 'esm' | 'cjs', args: string[]): Promise<Outcome> =>
  installation.run([...args, '--app', `${format}/app.module.js`], { DATABASE: database.file, SECRET });

/** Two sessions of user 7, and one of another; gives what an output must not show. */
const seed = async () => {
  const keys = [newKey(), newKey(), newKey()];
  const times = { createdAt: Date.UTC(2026, 0, 2, 3, 4, 5), expiresAt: Date.now() + HOUR };
  const values = { cart: '"nobody else’s"' };
  const sessions = [
    { userId: '7', handle: 'laptop', lastSeenAt: Date.UTC(2026, 0, 3), ...times, values },
    { userId: '7', handle: 'phone', lastSeenAt: Date.UTC(2026, 0, 4), ...times, values },
    { userId: '8', handle: 'stranger', values },
  ];
  for (const [index, session] of sessions.entries())
    await database.store.create(keys[index], aRecord(session));
  return [...keys, 'nobody else’s'];
};

describe('nest-session, piped', () => {
  const run = (...args: string[]) => runOn('esm', args);

  it('clears what has expired, in batches, and leaves the living', async () => {
    await seed();
    await database.addExpired(5);
    const dry = await run('clear', '--dry-run', '--json');
    expect([dry.code, JSON.parse(dry.stdout)]).toEqual([0, { wouldDelete: 5 }]);
    expect(await database.rows()).toBe(8);

    const cleared = await run('clear', '--batch-size', '2', '--pause', '10ms');
    expect(cleared).toMatchObject({ code: 0, stdout: '5 expired sessions deleted.\n' });
    expect(await database.rows()).toBe(3);
    const again = await run('clear', '--json');
    expect([again.code, JSON.parse(again.stdout)]).toEqual([0, { deleted: 0, interrupted: false }]);
  });

  it('counts living and expired sessions', async () => {
    await seed();
    await database.addExpired(2);
    const [{ code, stdout }, json] = await Promise.all([run('stats'), run('stats', '--json')]);
    expect(code).toBe(0);
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['Store', 'TypeOrmSessionStore'],
      ['Living sessions', '3'],
      ['Expired, to be cleared', '2'],
      [''],
    ]);
    expect(JSON.parse(json.stdout)).toEqual({
      store: 'TypeOrmSessionStore',
      living: 3,
      expired: 2,
      expiresByItself: false,
    });
  });

  it('lists the sessions of a user, the one used last first, and shows no key, id or value', async () => {
    const secrets = await seed();
    const [listed, json, nobody] = await Promise.all([
      run('list', '--user', '7'),
      run('list', '--user', '7', '--json'),
      run('list', '--user', '9'),
    ]);
    expect(listed.code).toBe(0);
    const [head, ...rows] = listed.stdout.trimEnd().split('\n');
    expect(head).toMatch(/^HANDLE +CREATED +LAST SEEN +EXPIRES$/);
    expect(rows).toEqual([
      expect.stringMatching(/^phone +2026-01-02T03:04:05.000Z +2026-01-04T00:00:00.000Z +20\S+Z$/),
      expect.stringMatching(/^laptop +2026-01-02T03:04:05.000Z +2026-01-03T00:00:00.000Z +20\S+Z$/),
    ]);
    const sessions = JSON.parse(json.stdout) as Record<string, string>[];
    expect(sessions.map(({ handle }) => handle)).toEqual(['phone', 'laptop']);
    expect(Object.keys(sessions[0])).toEqual(['handle', 'createdAt', 'lastSeenAt', 'expiresAt']);
    for (const secret of secrets) expect(listed.stdout + listed.stderr + json.stdout).not.toContain(secret);

    expect(nobody).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('User 9 has no sessions.'),
    });
  });

  it('revokes one session of a user by its handle, and leaves a tombstone', async () => {
    const [laptop] = await seed();
    const dry = await run('revoke', '--user', '7', '--handle', 'laptop', '--dry-run', '--json');
    expect(JSON.parse(dry.stdout)).toEqual({ wouldRevoke: [expect.objectContaining({ handle: 'laptop' })] });
    expect(await database.store.count()).toBe(3);

    const revoked = await run('revoke', '--user', '7', '--handle', 'laptop');
    expect(revoked).toMatchObject({ code: 0, stdout: '1 session of user 7 ended.\n' });
    const tombstone = await database.store.load(laptop);
    expect(tombstone?.gone).toBe('ended');
    expect(Math.abs(tombstone!.expiresAt - Date.now() - HOUR)).toBeLessThan(60_000); // the application's rotationGrace
    expect(await database.store.count()).toBe(2);

    const again = await run('revoke', '--user', '7', '--handle', 'laptop');
    expect(again).toMatchObject({ code: 4, stdout: '' });
  });

  it('finds no session by the handle of another user’s', async () => {
    await seed();
    const { code, stdout, stderr } = await run('revoke', '--user', '7', '--handle', 'stranger');
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toContain('User 7 has no living session of that handle.');
    expect((await run('revoke', '--user', '7', '--handle', 'stranger', '--dry-run')).code).toBe(4);
    expect(await database.store.count()).toBe(3);
  });

  it('revokes all sessions of a user', async () => {
    const [laptop] = await seed();
    const dry = await run('revoke', '--user', '7', '--all', '--dry-run');
    expect(dry.stdout).toMatch(/^HANDLE.*\nphone .*\nlaptop .*\n$/);
    expect(dry.stderr).toContain('2 sessions would end.');
    const revoked = await run('revoke', '--user', '7', '--all', '--json');
    expect([revoked.code, JSON.parse(revoked.stdout)]).toEqual([0, { revoked: 2 }]);
    expect((await database.store.load(laptop))?.gone).toBe('ended');
    expect(await database.store.count()).toBe(1);
    const none = await run('revoke', '--user', '7', '--all');
    expect(none).toMatchObject({ code: 0, stdout: '0 sessions of user 7 ended.\n' });
  });
});

describe('nest-session, on an application in CommonJS, which holds the other build of the library', () => {
  const run = (...args: string[]) => runOn('cjs', args);

  it('does what it does on one of ES modules', async () => {
    await seed();
    await database.addExpired(2);
    expect(JSON.parse((await run('stats', '--json')).stdout)).toMatchObject({ living: 3, expired: 2 });
    expect((await run('clear')).stdout).toBe('2 expired sessions deleted.\n');
    expect((await run('list', '--user', '8')).stdout).toContain('stranger');
    expect((await run('revoke', '--user', '7', '--handle', 'phone')).code).toBe(0);
    expect(await database.store.findByUser('7')).toHaveLength(1);
  });
});

describe('nest-session, on the sample shop, whose module is made by a function', () => {
  const run = async (...args: string[]): Promise<unknown> => {
    const env = {
      DATABASE_URL: database.file,
      SESSION_SECRET: SECRET,
    };
    const app = ['--app', 'shop/dist/cli.module.js', '--json'];
    const { code, stdout, stderr } = await installation.run([...args, ...app], env);
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout);
  };

  it('counts, clears, lists and revokes', async () => {
    const handle = 'a visitor’s';
    await database.store.create(newKey(), aRecord({ userId: 'mia', handle }));
    await database.addExpired(3);
    const store = 'TypeOrmSessionStore';
    expect(await run('stats')).toEqual({ store, living: 1, expired: 3, expiresByItself: false });
    expect(await run('clear')).toEqual({ deleted: 3, interrupted: false });
    expect(await run('list', '--user', 'mia')).toEqual([expect.objectContaining({ handle })]);
    expect(await run('revoke', '--user', 'mia', '--handle', handle)).toEqual({ revoked: 1 });
    expect([await database.store.count(), await database.store.countExpired()]).toEqual([0, 0]);
  });
});
