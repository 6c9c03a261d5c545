import { jest } from '@jest/globals';
import { aRecord, newKey } from 'nest-session/testing';
import { Installation } from '../support/command-line.js';
import { SeededDatabase } from '../support/seeded-database.js';

jest.setTimeout(120_000);

describe('nest-session on the sample shop', () => {
  let installation: Installation;
  let database: SeededDatabase;

  beforeAll(async () => {
    installation = await Installation.create(['esm']);
    await installation.addApplication('shop/dist', 'sample/shop/src', 'esm');
    database = await SeededDatabase.create();
  });
  afterAll(async () => {
    await installation.remove();
    await database.drop();
  });

  const run = async (...args: string[]): Promise<unknown> => {
    const env = {
      DATABASE_URL: database.file,
      SESSION_SECRET: 'a secret for tests, of more than 32 characters',
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
    expect(await run('stats')).toMatchObject({ living: 0, expired: 0 });
  });
});
