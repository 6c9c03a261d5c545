import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type Elsewhere, node, npm, packElsewhere, root } from './packed.js';

/** The first hour: what `nest new` makes, with the pieces of README.md's quick start pasted in as they stand there. */
describe.each([
  [11, 'CommonJS, Jest', ''],
  [12, 'ES modules, Vitest', '.js'],
])('an application of nest new %i (%s), with the README’s quick start', (nest, _, extension) => {
  let elsewhere: Elsewhere;
  let application: string;

  beforeAll(async () => {
    elsewhere = await packElsewhere();
    await nestNew(nest, elsewhere.path);
    application = join(elsewhere.path, 'shop');
    await withoutLinters(application);
    const { module, production, testing, packages } = await quickStart(nest);
    await writeFile(join(application, 'src/app.module.ts'), module);
    await writeFile(join(application, 'src/production.module.ts'), production);
    await writeFile(join(application, 'test/app.e2e-spec.ts'), e2eSpec(testing, extension));
    const quiet = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
    await npm(['install', ...quiet, elsewhere.tarball, ...packages], application);
  });
  afterAll(() => elsewhere.remove());

  it('builds', () => npm(['run', 'build'], application));

  it('passes its tests, those of production with no database', async () => {
    process.env.SESSION_SECRET = 'only for this test: 9f2c7b1e4d8a6035'; // of Jest's own copy, which npm gets
    await npm(['test'], application);
    await npm(['run', 'test:e2e'], application);
  });

  it('runs', async () => {
    const port = await freePort();
    const env = { ...process.env, NODE_OPTIONS: '', PORT: String(port) };
    const child = spawn(process.execPath, ['dist/main'], { cwd: application, env, stdio: 'ignore' });
    try {
      const url = `http://127.0.0.1:${port}`;
      const first = await answerOf(() => fetch(url), child);
      const cookie = first.headers.getSetCookie()[0].split(';')[0];
      expect(await first.json()).toEqual({ views: 1 });
      expect(await (await fetch(url, { headers: { cookie } })).json()).toEqual({ views: 2 });
      for (const count of [1, 2]) {
        const cart = await (await fetch(`${url}/cart`, { method: 'POST', headers: { cookie } })).json();
        expect(cart).toHaveLength(count);
      }
    } finally {
      const closed = child.exitCode === null ? once(child, 'close') : undefined;
      child.kill();
      await closed;
    }
  });
});

async function nestNew(nest: number, folder: string): Promise<void> {
  const options = ['new', 'shop', '--skip-git', '--skip-install', '--package-manager', 'npm', '--strict'];
  const ours = join(root, 'node_modules/@nestjs/cli');
  const { version } = JSON.parse(await readFile(join(ours, 'package.json'), 'utf8'));
  if (version.startsWith(`${nest}.`)) await node([join(ours, 'bin/nest.js'), ...options], folder);
  else await npm(['exec', '--yes', `--package=@nestjs/cli@${nest}`, '--', 'nest', ...options], folder);
}

/** What the template brings for anything but to build, run and test takes most of an installation. */
async function withoutLinters(application: string): Promise<void> {
  const file = join(application, 'package.json');
  const manifest = JSON.parse(await readFile(file, 'utf8'));
  for (const name of Object.keys(manifest.devDependencies))
    if (/eslint|oxlint|prettier|coverage|mau|ts-loader|ts-node/.test(name))
      delete manifest.devDependencies[name];
  await writeFile(file, JSON.stringify(manifest, null, 2));
}

/** The pieces of README.md under 'Quick start', in their order, and the packages of the line for this Nest. */
async function quickStart(nest: number) {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const [chapter] = /## Quick start.*?(?=\n## )/s.exec(readme) ?? [''];
  const [module, production, testing] = [...chapter.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code);
  const [, line] = new RegExp(`npm install (.*?) *# Nest ${nest}`).exec(chapter) ?? ['', ''];
  return { module, production, testing, packages: line.split(' ') };
}

/** The README's test module over both of its application modules. */
function e2eSpec(testing: string, extension: string): string {
  return `
import { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { MemorySessionStore, SessionStore } from 'nest-session';
import request from 'supertest';
import { App } from 'supertest/types${extension}';
import { DataSource } from 'typeorm';
import { AppModule as ShopModule } from './../src/app.module${extension}';
import { AppModule } from './../src/production.module${extension}';

describe('the shop', () => {
  let app: INestApplication<App>;
  afterEach(() => app.close());

  it('counts the visits of a browser', async () => {
    const module = await Test.createTestingModule({ imports: [ShopModule] }).compile();
    app = module.createNestApplication();
    await app.init();

    const browser = request.agent(app.getHttpServer());
    await browser.get('/').expect(200, { views: 1 });
    await browser.get('/').expect(200, { views: 2 });
  });

  it('starts without its database', async () => {
${testing}
    app = module.createNestApplication();
    await app.init();

    expect(app.get(SessionStore)).toBeInstanceOf(MemorySessionStore);
    expect(app.get(DataSource).isInitialized).toBe(false);
  });
});
`;
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
async function answerOf(ask: () => Promise<Response>, child: { exitCode: number | null }): Promise<Response> {
  for (;;) {
    const answer = await ask().catch((error: { cause?: { code?: string } }) => {
      if (error.cause?.code !== 'ECONNREFUSED') throw error;
    });
    if (answer) return answer;
    if (child.exitCode !== null) throw new Error(`The application ended with ${child.exitCode}.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
