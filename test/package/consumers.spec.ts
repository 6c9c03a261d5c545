import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
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
    if (name === 'nest12-esm') await writeFile(join(application, 'src/quick-start.ts'), await quickStart());
    await npm(
      ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'],
      application,
    );
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

  if (name === 'nest12-esm') {
    it('runs the README’s quick start as it stands there', async () => {
      const port = await freePort();
      const secret = randomBytes(32).toString('base64url');
      const env = { ...process.env, NODE_OPTIONS: '', PORT: String(port), SESSION_SECRET: secret };
      const child = spawn(process.execPath, ['dist/src/quick-start.js'], {
        cwd: application,
        env,
        stdio: 'pipe',
      });
      try {
        await once(child.stdout, 'data'); // Nest's first line
        const url = `http://127.0.0.1:${port}`;
        const first = await answerOf(() => fetch(url));
        const cookie = first.headers.getSetCookie()[0].split(';')[0];
        expect(await first.json()).toEqual({ views: 1 });
        expect(await (await fetch(url, { headers: { cookie } })).json()).toEqual({ views: 2 });
        for (const count of [1, 2]) {
          const cart = await (await fetch(`${url}/cart`, { method: 'POST', headers: { cookie } })).json();
          expect(cart).toHaveLength(count);
        }
      } finally {
        child.kill();
        await once(child, 'close');
      }
    });
  }
});

/** The first piece of TypeScript in the README. */
async function quickStart(): Promise<string> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const [, code] = /## Quick start.*?```ts\n(.*?)```/s.exec(readme) ?? [];
  return code;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Asks until the server listens; what it answers is not asked twice. */
async function answerOf(ask: () => Promise<Response>): Promise<Response> {
  for (;;) {
    const answer = await ask().catch((error: { cause?: { code?: string } }) => {
      if (error.cause?.code !== 'ECONNREFUSED') throw error;
    });
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function addDependency(application: string, tarball: string): Promise<void> {
  const file = join(application, 'package.json');
  const manifest = JSON.parse(await readFile(file, 'utf8'));
  manifest.dependencies['nest-session'] = `file:${tarball}`;
  await writeFile(file, JSON.stringify(manifest, null, 2));
}
