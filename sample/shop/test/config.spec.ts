import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Logger } from '@nestjs/common';
import { readConfig } from '../src/config.js';

describe('the environment', () => {
  let folder: string;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    folder = join(await mkdtemp(join(tmpdir(), 'nest-session-config-')), 'data');
  });
  afterAll(() => rm(join(folder, '..'), { recursive: true, force: true }));

  const read = (env: Record<string, string>) => readConfig(env, folder);

  it('may be empty', () => {
    expect(read({})).toMatchObject({
      port: 3000,
      host: '127.0.0.1',
      platform: 'express',
      store: 'typeorm',
      database: { type: 'better-sqlite3', database: join(folder, 'shop.sqlite') },
    });
  });

  it.each([
    ['postgres://shop@db/shop', { type: 'postgres', url: 'postgres://shop@db/shop' }],
    ['postgresql://shop@db/shop', { type: 'postgres', url: 'postgresql://shop@db/shop' }],
    ['mysql://shop@db/shop', { type: 'mysql', url: 'mysql://shop@db/shop' }],
    ['mariadb://shop@db/shop', { type: 'mariadb', url: 'mariadb://shop@db/shop' }],
    ['some.sqlite', { type: 'better-sqlite3', database: resolve('some.sqlite') }],
    ['sqlite:some.sqlite', { type: 'better-sqlite3', database: resolve('some.sqlite') }],
    ['sqlite:///srv/shop.sqlite', { type: 'better-sqlite3', database: resolve('/srv/shop.sqlite') }],
    ['sqlite::memory:', { type: 'better-sqlite3', database: ':memory:' }],
  ])('names a database by %s', (DATABASE_URL, database) => {
    expect(read({ DATABASE_URL }).database).toMatchObject(database);
  });

  it('keeps a development secret that survives a restart, for its owner alone', async () => {
    const { secret } = read({});
    expect(secret.length).toBeGreaterThanOrEqual(32);
    expect(read({}).secret).toBe(secret);
    const { mode } = await stat(join(folder, 'development-secret'));
    if (process.platform !== 'win32') expect(mode & 0o077).toBe(0);
  });

  it.each([
    [{ NODE_ENV: 'production' }, 'SESSION_SECRET is missing'],
    [{ PORT: 'http' }, 'PORT is http'],
    [{ PORT: '70000' }, 'PORT is 70000'],
    [{ PLATFORM: 'koa' }, 'PLATFORM is koa: write express or fastify.'],
    [
      { STORE: 'mongo' },
      'STORE is mongo: write typeorm or memory or file or redis or cache or cached or cookie.',
    ],
    [{ DATABASE_URL: 'mongodb://db/shop' }, 'DATABASE_URL begins with mongodb:'],
  ])('is refused when it says %j', (env, message) => {
    expect(() => read(env)).toThrow(message);
  });
});
