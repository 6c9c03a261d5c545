import { access, constants, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatMessage } from 'publint/utils';
import { publint } from 'publint';
import { type Elsewhere, node, packElsewhere, root, run, unpack } from './packed.js';

const ENTRIES = ['', '/cache', '/cookie', '/redis', '/testing', '/typeorm'].map(
  (path) => `nest-session${path}`,
);
/** What an application always has; the optional peers are missing. */
const ALWAYS_THERE = ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs', 'cookie', 'ms'];
const OPTIONAL = ['typeorm', '@nestjs/typeorm'];

describe('the packed tarball', () => {
  let elsewhere: Elsewhere;

  beforeAll(async () => {
    elsewhere = await packElsewhere();
  });
  afterAll(() => elsewhere.remove());

  it('holds the two builds, their declarations and maps, the documents, and nothing of the workshop', async () => {
    const target = await unpack(elsewhere.tarball, join(elsewhere.path, 'files'));
    const files = await filesBelow(target);

    const expected =
      /^(package\.json|(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|LICENSE|docs\/[\w-]+\.md|docs\/examples\/[\w.-]+\.ts|dist\/cjs\/package\.json|dist\/(esm|cjs)\/.+\.(d\.ts|js|js\.map))$/;
    expect(files.filter((file) => !expected.test(file))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'dist/esm/index.d.ts', 'dist/cjs/index.d.ts']));
  });

  it('holds what its documents link to, page and heading', async () => {
    const target = await unpack(elsewhere.tarball, join(elsewhere.path, 'links'));
    const pages = (await filesBelow(target)).filter((file) => /^(docs\/)?[\w-]+\.md$/.test(file));
    expect(pages.length).toBeGreaterThan(10);
    const links = await Promise.all(pages.map((page) => linksOf(target, page)));
    expect(links.flat().length).toBeGreaterThan(50);
    const dead = await Promise.all(
      links.flat().map(async (link) => ((await isAlive(target, link)) ? [] : [link])),
    );
    expect(dead.flat()).toEqual([]);
  });

  it('carries the sources in its source maps', async () => {
    const target = await unpack(elsewhere.tarball, join(elsewhere.path, 'maps'));
    for (const build of ['esm', 'cjs']) {
      const map = JSON.parse(await readFile(join(target, `dist/${build}/index.js.map`), 'utf8'));
      expect(map.sourcesContent).toEqual([await readFile(join(root, 'lib/index.ts'), 'utf8')]);
    }
  });

  it('pleases publint', async () => {
    const tarball = await readFile(elsewhere.tarball);
    const { messages, pkg } = await publint({
      pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) },
      strict: true,
    });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  it('has the right types for node10, node16 and bundlers (attw)', async () => {
    const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js');
    await node([attw, elsewhere.tarball, '--no-emoji', '--no-color', '--profile', 'strict'], elsewhere.path);
  });
});

describe('the entries', () => {
  let elsewhere: Elsewhere;
  let application: string;

  beforeAll(async () => {
    elsewhere = await packElsewhere();
    application = join(elsewhere.path, 'application');
    await unpack(elsewhere.tarball, application);
    await link(ALWAYS_THERE, application);
  });
  afterAll(() => elsewhere.remove());

  describe.each(['import', 'require'] as const)('by %s', (way) => {
    it('load without the optional peers, but for the one that needs them', async () => {
      await expect(namesOf('nest-session', way)).resolves.toContain('MemorySessionStore');
      for (const path of ['testing', 'cookie', 'cache', 'redis'])
        await expect(namesOf(`nest-session/${path}`, way)).resolves.not.toHaveLength(0);
      await expect(namesOf('nest-session/typeorm', way)).rejects.toThrow(
        /Cannot find (package|module) '(@nestjs\/)?typeorm'/,
      );
    });
  });

  it('export the same names by both ways, and these', async () => {
    const complete = join(elsewhere.path, 'complete');
    await unpack(elsewhere.tarball, complete);
    await link([...ALWAYS_THERE, ...OPTIONAL], complete);

    for (const entry of ENTRIES) {
      const names = await namesOf(entry, 'import', complete);
      expect(await namesOf(entry, 'require', complete)).toEqual(names);
      expect(names).toMatchSnapshot(entry);
    }
  });

  it('declare their types without those of Jest, Express, Fastify or a driver', async () => {
    const complete = join(elsewhere.path, 'types');
    await unpack(elsewhere.tarball, complete);
    await link([...ALWAYS_THERE, '@types/node'], complete);
    await writeFile(join(complete, 'package.json'), '{ "type": "module" }');
    await writeFile(
      join(complete, 'uses.ts'),
      `import * as main from 'nest-session';\nimport * as testing from 'nest-session/testing';\nexport const uses = [main, testing];\n`,
    );
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    await node([tsc, ...options, '--ignoreConfig', 'uses.ts'], complete);
  });

  async function namesOf(entry: string, way: 'import' | 'require', folder = application): Promise<string[]> {
    const load =
      way === 'import'
        ? [
            '--input-type=module',
            '--eval',
            `import * as found from '${entry}'; const names = Object.keys(found);`,
          ]
        : ['--input-type=commonjs', '--eval', `const names = Object.keys(require('${entry}'));`];
    load.push(
      `${load.pop()} console.log(JSON.stringify(names.filter((name) => name !== '__esModule').sort()));`,
    );
    return JSON.parse(await node(['--disable-warning=ExperimentalWarning', ...load], folder));
  }
});

describe('the program', () => {
  let elsewhere: Elsewhere;
  let application: string;
  let program: string;

  beforeAll(async () => {
    elsewhere = await packElsewhere();
    application = join(elsewhere.path, 'application');
    program = join(await unpack(elsewhere.tarball, application), 'dist/esm/cli/main.js');
    await link([...ALWAYS_THERE, 'commander', 'cli-progress'], application);
  });
  afterAll(() => elsewhere.remove());

  it('is what bin names, executable and with a first line that says by what', async () => {
    const { bin } = JSON.parse(
      await readFile(join(application, 'node_modules/nest-session/package.json'), 'utf8'),
    );
    expect(bin).toEqual({ 'nest-session': 'dist/esm/cli/main.js' });
    await access(program, constants.X_OK);
    expect(await readFile(program, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  it('prints a secret and its version without an application', async () => {
    expect(await run(program, ['secret'], application)).toMatch(/^[\w-]{43}\n$/);
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    expect(await run(program, ['--version'], application)).toBe(`${version}\n`);
  });

  it.each([
    [
      'an ES module',
      'app.module.mjs',
      "import { SessionModule, MemorySessionStore } from 'nest-session';",
      'export default',
    ],
    [
      'CommonJS, which loads the other build',
      'app.module.cjs',
      "const { SessionModule, MemorySessionStore } = require('nest-session');",
      'module.exports =',
    ],
  ])('works on an application in %s', async (_, file, imports, exports) => {
    const options = "{ store: MemorySessionStore, secret: 'a secret for tests, of more than 32 characters' }";
    const body = `${exports} { module: class AppModule {}, imports: [SessionModule.forRoot(${options})] };`;
    await writeFile(join(application, file), `${imports}\n${body}\n`);
    const stats = JSON.parse(await run(program, ['stats', '--json', '--app', file], application));
    expect(stats).toEqual({ store: 'MemorySessionStore', living: 0, expired: 0, expiresByItself: false });
  });
});

/** Lends packages of the repository to an application: only these are there. */
async function link(packages: string[], application: string): Promise<void> {
  for (const name of packages) {
    const target = join(application, 'node_modules', name);
    await mkdir(dirname(target), { recursive: true });
    await symlink(join(root, 'node_modules', name), target, 'junction');
  }
}

interface Link {
  readonly page: string;
  readonly to: string;
}

/** The links of a page that lead to no other site; code may hold what looks like one. */
async function linksOf(folder: string, page: string): Promise<Link[]> {
  const text = await readFile(join(folder, page), 'utf8');
  const prose = text.replace(/```.*?```/gs, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, to]) => ({ page, to }))
    .filter(({ to }) => !/^[a-z]+:/.test(to));
}

async function isAlive(folder: string, { page, to }: Link): Promise<boolean> {
  const [path, heading] = to.split('#');
  const file = path === '' ? join(folder, page) : join(folder, dirname(page), path);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined || heading === undefined) return text !== undefined;
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) => anchorOf(title));
  return headings.includes(heading) || text.includes(`<a id="${heading}"`);
}

/** As the sites that show Markdown make it. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .sort();
}
