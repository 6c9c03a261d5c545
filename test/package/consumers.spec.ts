import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Elsewhere, npm, packElsewhere, root } from './packed.js';

/** Two applications as users have them, in folders of their own, with the tarball installed from the registry's packages. */
describe.each([
  ['nest12-esm', 'Nest 12, ES modules, TypeScript 6, TypeORM 1, node:test'],
  ['nest11-cjs', 'Nest 11, CommonJS, TypeScript 5, TypeORM 0.3, the template’s ts-jest without flags'],
])('a user’s application: %s (%s)', (name) => {
  let elsewhere: Elsewhere;
  let application: string;

  beforeAll(async () => {
    elsewhere = await packElsewhere();
    application = join(elsewhere.path, name);
    await cp(join(root, 'test/package/consumers', name), application, { recursive: true });
    await addDependency(application, elsewhere.tarball);
    await npm(
      ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'],
      application,
    );
    // No scripts ran, which would have built it or fetched the build: it is taken from here.
    const sqlite = 'node_modules/better-sqlite3';
    await rm(join(application, sqlite), { recursive: true });
    await cp(join(root, sqlite), join(application, sqlite), { recursive: true });
  });
  afterAll(() => elsewhere.remove());

  it('compiles', () => npm(['run', 'typecheck'], application));

  it('passes its e2e test, with SessionStore overridden and with its own store', () =>
    npm(['test'], application));

  it('is looked after by the command line, as npx runs it', async () => {
    if (name === 'nest11-cjs') await npm(['exec', '--', 'tsc'], application); // the newer one's check has emitted
    const stats = ['nest-session', 'stats', '--json', '--app', 'dist/src/app.module.js'];
    const printed = await npm(['exec', '--', ...stats], application);
    expect(JSON.parse(printed)).toMatchObject({ store: 'TypeOrmSessionStore', living: 0, expired: 0 });
  });
});

async function addDependency(application: string, tarball: string): Promise<void> {
  const file = join(application, 'package.json');
  const manifest = JSON.parse(await readFile(file, 'utf8'));
  manifest.dependencies['nest-session'] = `file:${tarball}`;
  await writeFile(file, JSON.stringify(manifest, null, 2));
}
