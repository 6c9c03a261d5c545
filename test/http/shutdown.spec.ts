import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource } from 'typeorm';
import { Browser } from '../support/browser.js';
import { type CompiledLibrary, compileLibrary } from '../support/compiled-library.js';
import { type DatabaseKind, databases, type TestDatabase } from '../support/databases.js';
import { platforms, SECRET } from '../support/http-app.js';
import { keyOfCookie, withResolvers } from '../support/laws.js';

const program = fileURLToPath(new URL('shutdown-server.mjs', import.meta.url));
const CLIENTS = 8;

/** What the server tells of itself, a line each. */
interface News {
  readonly port?: number;
  readonly slow?: string;
  readonly late?: string;
  readonly closed?: { readonly underWay: number };
}

const kinds = databases.filter(({ name }) => name !== 'MariaDB'); // whose entity is another
const available = await Promise.all(kinds.map((kind) => kind.available()));

let library: CompiledLibrary;
beforeAll(async () => {
  library = await compileLibrary();
});
afterAll(() => library.remove());

describe.each(kinds.map((kind, index) => ({ kind, name: kind.name, isThere: available[index] })))(
  'a process under load that is told to stop · $name',
  ({ kind, isThere }) => {
    (isThere ? describe : describe.skip).each(platforms)('%s', (platform) => {
      let database: TestDatabase;
      let pool: DataSource;
      let server: StoppableServer;

      beforeAll(async () => {
        database = await kind.create();
        pool = await openPool(kind, database);
        server = await StoppableServer.start({
          library: library.path,
          platform,
          database: database.options,
          secret: SECRET,
        });
      });
      afterAll(async () => {
        server.kill();
        await pool.destroy();
        await database.drop();
      });

      it('loses no acknowledged save, answers what is in flight, closes what it owns and exits', async () => {
        const clients = Array.from({ length: CLIENTS }, () => new Client(server.origin));
        for (const client of clients) await client.begin();
        const load = Promise.all(clients.map((client) => client.hammer()));
        await Promise.all(clients.map(({ isBusy }) => isBusy));
        const slow = new Browser(server.origin);
        const slowAnswer = slow.post('/slow');
        await server.hears(({ slow: state }) => state === 'begun');

        const exit = server.stop();
        const { status, text } = await slowAnswer;
        expect([status, text]).toEqual([200, '{"slow":"done"}']);
        expect(await exit).toEqual({ code: null, signal: 'SIGTERM' }); // as whoever sent it expects
        await load;

        const store = new TypeOrmSessionStore(pool, { entity: kind.entity });
        const slowRecord = await store.load(keyOfCookie(await slow.cookie('sessionid')));
        expect(slowRecord?.values).toEqual({ slow: '"done"' });
        for (const client of clients) {
          const record = await store.load(keyOfCookie(await client.browser.cookie('sessionid')));
          expect(client.count).toBeGreaterThan(3);
          expect(Number(record?.values.count)).toBeGreaterThanOrEqual(client.count);
          expect(Number(record?.values.hits)).toBeGreaterThanOrEqual(client.hits);
          expect(client.troubles).toEqual([]);
        }
        expect(server.news.filter(({ closed, late }) => closed ?? late)).toEqual([
          { closed: { underWay: 0 } },
        ]);
      }, 30_000);
    });
  },
);

/** A visitor who does two things at once, again and again, until nobody answers. */
class Client {
  readonly browser: Browser;
  /** As the last acknowledged answers had them. */
  count = 0;
  hits = 0;
  /** Answers that are neither a success nor a server's word that it closes. */
  readonly troubles: string[] = [];
  readonly #busy = withResolvers<void>();
  /** It has had some answers. */
  readonly isBusy = this.#busy.promise;

  constructor(origin: string) {
    this.browser = new Browser(origin);
  }

  async begin(): Promise<void> {
    await this.#ask('/count');
    await this.#ask('/hit');
  }

  async hammer(): Promise<void> {
    await Promise.all(['/count', '/hit'].map((path) => this.#askUntilClosed(path)));
  }

  async #askUntilClosed(path: string): Promise<void> {
    while (await this.#ask(path)) if (this.count > 3) this.#busy.resolve();
  }

  /** @returns false when the server is not there any more */
  async #ask(path: string): Promise<boolean> {
    const answer = await this.browser.post(path).catch(() => undefined);
    if (!answer) return false;
    if (answer.status === 200) {
      const { count = this.count, hits = this.hits } = answer.json<{ count?: number; hits?: number }>();
      Object.assign(this, { count, hits });
      return true;
    }
    const isClosing = answer.status === 503 && answer.headers.get('connection') === 'close';
    if (!isClosing || answer.text.includes('session')) this.troubles.push(`${answer.status} ${answer.text}`);
    return false;
  }
}

/** The process of shutdown-server.mjs. */
class StoppableServer {
  readonly news: News[] = [];
  readonly #process: ChildProcess;
  #onNews: () => void = () => undefined;
  origin = '';

  private constructor() {
    this.#process = fork(program, { env: { ...process.env, NODE_OPTIONS: '' }, execArgv: [], silent: true });
    this.#process.stderr?.pipe(process.stderr);
    if (!this.#process.stdout) throw new Error('The server has no output.');
    createInterface(this.#process.stdout).on('line', (line) => {
      this.news.push(JSON.parse(line) as News);
      this.#onNews();
    });
  }

  static async start(plan: object): Promise<StoppableServer> {
    const server = new StoppableServer();
    server.#process.send(plan);
    const { port } = await server.hears(({ port }) => port !== undefined);
    server.origin = `http://127.0.0.1:${port}`;
    return server;
  }

  async hears(isIt: (news: News) => boolean): Promise<News> {
    for (;;) {
      const found = this.news.find(isIt);
      if (found) return found;
      await new Promise<void>((resolve) => (this.#onNews = resolve));
    }
  }

  /** @returns how the process has ended, and all its output has come; rejects when that takes long */
  async stop(): Promise<{ code: number | null; signal: string | null }> {
    this.#process.kill('SIGTERM');
    const [code, signal] = (await once(this.#process, 'close', { signal: AbortSignal.timeout(8_000) })) as [
      number | null,
      string | null,
    ];
    return { code, signal };
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

async function openPool(kind: DatabaseKind, { options }: TestDatabase): Promise<DataSource> {
  const pool = await new DataSource({ ...options, entities: [kind.entity] }).initialize();
  await pool.synchronize();
  return pool;
}
