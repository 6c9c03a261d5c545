import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Test } from '@nestjs/testing';
import {
  FileSessionStore,
  MemorySessionStore,
  RECORD_FORMAT,
  SessionFormatException,
  SessionModule,
  SessionOptionsError,
  type SessionRecord,
  SessionStore,
  type SessionStoreOption,
} from 'nest-session';
import { aChange, aRecord, FakeClock, newKey } from 'nest-session/testing';

const SECRET = 'a secret that is long enough for anybody';
const LONG_AGO = new Date(Date.now() - 11 * 60_000);
const GRACE_MS = 30_000;

let parent: string;
let directory: string;
let clock: FakeClock;
let store: FileSessionStore;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'nest-session-'));
  directory = join(parent, 'sessions');
  clock = new FakeClock();
  store = new FileSessionStore({ directory }, clock);
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const created = async (parts?: Partial<SessionRecord>): Promise<string> => {
  const key = newKey();
  expect(await store.create(key, aRecord(parts))).toBe(true);
  return key;
};
const fileOf = (key: string) => join(directory, 'sessions', key.slice(0, 3), key);
const filesBelow = async (path: string) => {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
};
const change = aChange({ set: { a: '1' } });

describe('the directory', () => {
  const problemOf = async (path: string): Promise<string> => {
    const error: unknown = await new FileSessionStore({ directory: path })
      .onModuleInit()
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SessionOptionsError);
    return (error as SessionOptionsError).problems.join();
  };

  it('is made when it alone is missing, for its user alone', async () => {
    await store.onModuleInit();
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await readdir(directory)).sort()).toEqual(['sessions', 'users']);
  });

  it('is taken as it is when it was there, and again at the next start', async () => {
    await mkdir(directory, { mode: 0o700 });
    const key = await created();
    const next = new FileSessionStore({ directory }, clock);
    await next.onModuleInit();
    expect(await next.load(key)).toBeDefined();
  });

  it('is refused when its parent is missing, when it is a file, and below one', async () => {
    await writeFile(join(parent, 'file'), '');
    expect(await problemOf(join(parent, 'a', 'b'))).toContain(
      `${join(parent, 'a')} is not there: create that first`,
    );
    expect(await problemOf(join(parent, 'file'))).toContain('is a file: name a directory');
    expect(await problemOf(join(parent, 'file', 'b'))).toContain('is a file: name a directory');
  });

  it.each(['755', '710', '701', '777'])('is refused when others can open it (%s)', async (octal) => {
    await mkdir(directory);
    await chmod(directory, parseInt(octal, 8));
    const problem = await problemOf(directory);
    expect(problem).toContain(`chmod 700 ${directory}`);
    expect(problem).toContain(`directory: '${join(directory, 'sessions')}'`);
  });

  // Nobody can write there, not even root, whom modes do not stop.
  it('is refused when it can not be written', async () => {
    expect(await problemOf('/sys/sessions')).toMatch(/can't be written \(E[A-Z]+\): give it, .* to the user/);
  });

  it('may be put right while a script runs', async () => {
    await writeFile(directory, '');
    await expect(store.load(newKey())).rejects.toThrow(SessionOptionsError);
    await rm(directory);
    expect(await store.load(newKey())).toBeUndefined();
  });
});

describe('in an application', () => {
  const start = async (option: SessionStoreOption, override?: typeof MemorySessionStore) => {
    const builder = Test.createTestingModule({
      imports: [SessionModule.forRoot({ store: option, secret: SECRET })],
    });
    if (override) builder.overrideProvider(SessionStore).useClass(override);
    const app = await builder.compile();
    await app.init();
    return app;
  };

  it('is made by with(), and keeps the time of the module', async () => {
    const app = await start(FileSessionStore.with({ directory }));
    const made = app.get(SessionStore);
    expect(made).toBeInstanceOf(FileSessionStore);
    expect(await made.count()).toBe(0);
    await app.close();
  });

  it.each([
    ['without with()', FileSessionStore],
    ['with an empty directory', FileSessionStore.with({ directory: '' })],
    ['with options that are no options', FileSessionStore.with({} as never)],
  ])('does not start %s, and says what to write', async (_, option) => {
    await expect(start(option)).rejects.toThrow("store: FileSessionStore.with({ directory: './sessions' })");
  });

  it('does not start with a wrong directory', async () => {
    await expect(start(FileSessionStore.with({ directory: join(directory, 'deep') }))).rejects.toThrow(
      SessionOptionsError,
    );
  });

  it('makes nothing when it is overridden', async () => {
    const app = await start(
      FileSessionStore.with({ directory: join(directory, 'deep') }),
      MemorySessionStore,
    );
    await app.close();
    expect(await readdir(parent)).toEqual([]);
  });
});

describe('keys', () => {
  it.each([
    '',
    '..',
    '../'.repeat(8),
    `${'a'.repeat(63)}/`,
    'A'.repeat(64),
    'a'.repeat(65),
    `${'a'.repeat(64)}\n`,
  ])('that are none name no file: %j', async (key) => {
    const good = await created();
    const asked = [
      () => store.load(key),
      () => store.create(key, aRecord()),
      () => store.save(key, change),
      () => store.delete(key),
      () => store.touch(key, change),
      () => store.rename(key, newKey(), change),
      () => store.rename(good, key, change),
      () => store.atomic(key, 'a', () => '1'),
    ];
    for (const ask of asked) await expect(ask()).rejects.toThrow(TypeError);
    expect(await filesBelow(parent)).toEqual([good]);
  });

  it('do not show in errors, nor do values', async () => {
    const key = await created();
    await rm(fileOf(key));
    await mkdir(fileOf(key));
    const error: unknown = await store.load(key).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'EISDIR', syscall: 'read' });
    expect(inspect(error)).not.toContain(key);
  });
});

describe('a corrupt file', () => {
  const fields = (text: string) => JSON.parse(text.split('\n')[0]) as Record<string, unknown>;

  it.each([
    ['empty', ''],
    ['zeros', '\0'.repeat(300)],
    ['torn', '{"format":1,"handle":"9f86'],
    ['an array', '[]\n{}'],
    ['without a format', '{}\n{}'],
  ])('(%s) is an empty session with a handle of its own, which does not tell the key', async (_, text) => {
    const key = await created({ userId: '7', values: { a: '1' } });
    await writeFile(fileOf(key), text);
    const record = await store.load(key);
    expect(record).toMatchObject({ corrupt: true, values: {}, policy: '', format: RECORD_FORMAT });
    expect(record?.userId).toBeUndefined();
    expect(record?.handle).toMatch(/^[0-9a-f]{32}$/);
    expect(key).not.toContain(record?.handle);
    expect((await store.load(key))?.handle).toBe(record?.handle);

    expect(await store.save(key, change)).toBe(true);
    const saved = await store.load(key);
    expect(saved?.corrupt).toBeUndefined();
    expect([saved?.handle, { ...saved?.values }]).toEqual([record?.handle, { a: '1' }]);
  });

  it('is over a day after it was written, and goes then', async () => {
    const key = await created();
    await writeFile(fileOf(key), '');
    clock.advance('25h');
    expect(await store.deleteExpired()).toBe(1);
    expect(await filesBelow(directory)).toEqual([]);
  });

  it.each([
    ['torn', (head: string) => `${head}\n{"a":"1`],
    ['missing', (head: string) => head],
    ['of a wrong type', (head: string) => `${head}\n{"a":1}`],
    ['an array', (head: string) => `${head}\n[]`],
  ])('whose values alone are %s keeps its handle, user and deadlines', async (_, corrupt) => {
    const key = await created({ userId: '7', values: { a: '1' } });
    const { values: _values, ...rest } = (await store.load(key))!;
    const text = await readFile(fileOf(key), 'utf8');
    await writeFile(fileOf(key), corrupt(text.split('\n')[0]));
    expect(await store.load(key)).toEqual({ ...rest, values: {}, corrupt: true });
  });

  it.each([
    'handle',
    'createdAt',
    'lastSeenAt',
    'expiresAt',
    'absoluteExpiresAt',
    'policy',
    'userId',
    'gone',
  ])('whose %s is of a wrong type is unreadable as a whole', async (name) => {
    const key = await created({ userId: '7' });
    const text = await readFile(fileOf(key), 'utf8');
    await writeFile(fileOf(key), `${JSON.stringify({ ...fields(text), [name]: [] })}\n{}`);
    expect(await store.load(key)).toMatchObject({ corrupt: true, policy: '' });
  });
});

describe('a file of a newer format', () => {
  const newer = async (head: object = {}): Promise<[string, string]> => {
    const key = await created({ userId: 'newer' });
    const text = await readFile(fileOf(key), 'utf8');
    const old = JSON.parse(text.split('\n')[0]) as object;
    const next = `${JSON.stringify({ ...old, format: RECORD_FORMAT + 1, ...head })}\nwhat only it can read`;
    await writeFile(fileOf(key), next);
    return [key, next];
  };

  it('is loaded as such, without values', async () => {
    const [key] = await newer();
    const record = await store.load(key);
    expect(record).toMatchObject({ format: RECORD_FORMAT + 1, values: {}, userId: 'newer' });
    expect(record?.corrupt).toBeUndefined();
  });

  it('is never changed, cleared or called over, whatever became of its fields', async () => {
    const strange = {
      handle: 1,
      createdAt: 'x',
      lastSeenAt: null,
      expiresAt: 'later',
      absoluteExpiresAt: {},
      gone: 3,
    };
    for (const head of [{}, strange]) {
      const [key, text] = await newer(head);
      const asked = [
        () => store.save(key, change),
        () => store.touch(key, change),
        () => store.rename(key, newKey(), change),
        () => store.atomic(key, 'a', () => '1'),
        () => store.delete(key),
        () => store.deleteByUser('newer'),
      ];
      for (const ask of asked) {
        const error: unknown = await ask().catch((e: unknown) => e);
        expect(error).toBeInstanceOf(SessionFormatException);
        expect(inspect(error)).not.toContain(key);
      }
      expect(await store.create(key, aRecord())).toBe(false);
      expect(await store.deleteExpired()).toBe(0);
      expect(await readFile(fileOf(key), 'utf8')).toBe(text);
    }
  });

  it('stays when its time is over, too', async () => {
    const [key, text] = await newer();
    clock.advance('60d');
    expect(await store.load(key)).toBeUndefined();
    expect(await store.deleteExpired()).toBe(0);
    expect(await readFile(fileOf(key), 'utf8')).toBe(text);
  });

  it('does not keep the other sessions of its user alive', async () => {
    await newer();
    const other = await created({ userId: 'newer' });
    await expect(store.deleteByUser('newer')).rejects.toThrow(SessionFormatException);
    expect(await store.load(other)).toBeUndefined();
  });
});

describe('what is left behind', () => {
  it('is nothing, after all that a session can live through', async () => {
    const [first, second] = [await created({ userId: '7' }), newKey()];
    await created({ userId: '7' });
    await store.save(first, change);
    await store.save(newKey(), change);
    await store.touch(first, change);
    await expect(
      store.atomic(first, 'a', () => {
        throw new Error('sold out');
      }),
    ).rejects.toThrow('sold out');
    await store.rename(first, second, change, clock.now() + GRACE_MS);
    await store.delete(second, clock.now() + GRACE_MS);
    clock.advance('60d');
    expect(await store.deleteExpired()).toBe(1);
    expect(await filesBelow(parent)).toEqual([]);
    const shards = await readdir(join(directory, 'sessions'));
    for (const shard of shards) expect(await readdir(join(directory, 'sessions', shard))).toEqual([]);
  });

  it('is no expired file that somebody asked for', async () => {
    const keys = [await created({ userId: '7' }), await created()];
    clock.advance('60d');
    for (const key of keys) expect(await store.load(key)).toBeUndefined();
    expect(await filesBelow(parent)).toEqual([]);
  });

  it('by a process that died goes after ten minutes, and not before', async () => {
    const key = await created();
    const temporary = `${fileOf(key)}.${'0'.repeat(16)}`;
    const prepared = `${fileOf(key)}.${'1'.repeat(16)}`;
    await writeFile(temporary, 'half a sess');
    await mkdir(prepared);
    await writeFile(join(prepared, '1'.repeat(16)), '');
    await store.deleteExpired();
    expect(await readdir(join(fileOf(key), '..'))).toHaveLength(3);
    for (const path of [temporary, prepared]) await utimes(path, LONG_AGO, LONG_AGO);
    await store.deleteExpired();
    expect(await readdir(join(fileOf(key), '..'))).toEqual([key]);
  });

  it('is no strange file of somebody else that goes', async () => {
    const key = await created();
    const strange = join(fileOf(key), '..', 'notes.txt');
    await writeFile(strange, 'mine');
    await utimes(strange, LONG_AGO, LONG_AGO);
    expect(await store.deleteExpired()).toBe(0);
    expect(await readFile(strange, 'utf8')).toBe('mine');
    expect(await store.count()).toBe(1);
  });
});

describe('the index of users', () => {
  const entries = () => filesBelow(join(directory, 'users'));
  const ageEntries = async () => {
    const all = await readdir(join(directory, 'users'), { recursive: true, withFileTypes: true });
    for (const { parentPath, name } of all) await utimes(join(parentPath, name), LONG_AGO, LONG_AGO);
  };

  it('has an entry per session, follows a cycle, and ends with the session', async () => {
    const [key, newer] = [await created({ userId: '7' }), newKey()];
    expect(await entries()).toHaveLength(1);
    await store.rename(key, newer, change);
    expect((await entries()).map((name) => name.split('.')[1])).toEqual([newer]);
    await store.delete(newer);
    expect(await entries()).toEqual([]);
  });

  it('names no user in clear', async () => {
    await created({ userId: 'eve@example.com/../..' });
    expect((await entries())[0]).toMatch(/^[0-9a-f]{64}\.[0-9a-f]{64}$/);
  });

  it.each(['findByUser', 'deleteByUser', 'deleteExpired'] as const)(
    'loses entries without a session by %s, but for young ones',
    async (method) => {
      const ask = () => (method === 'deleteExpired' ? store.deleteExpired() : store[method]('7'));
      const gone = await created({ userId: '7' });
      await created({ userId: '7' });
      await rm(fileOf(gone));
      const kept = method === 'deleteByUser' ? 0 : 1;
      await ask();
      expect(await entries()).toHaveLength(kept + 1);
      await ageEntries();
      await ask();
      expect(await entries()).toHaveLength(kept);
    },
  );

  it('believes the session and not the entry', async () => {
    const key = await created({ userId: '7' });
    const other = await created({ userId: '8' });
    const [{ parentPath, name }] = (
      await readdir(join(directory, 'users'), { recursive: true, withFileTypes: true })
    ).filter((entry) => entry.name.endsWith(key));
    await writeFile(join(parentPath, name.replace(key, other)), '');
    expect((await store.findByUser('7')).map((session) => session.key)).toEqual([key]);
    expect(await store.deleteByUser('7')).toBe(1);
    expect(await store.load(other)).toBeDefined();
  });

  it('misses no session that gets new keys while all sessions of its user are ended', async () => {
    const another = new FileSessionStore({ directory }, clock);
    for (let round = 0; round < 15; round++) {
      let key = await created({ userId: '7' });
      const cycle = async () => {
        for (let times = 0; times < 3; times++) {
          const newer = newKey();
          if ((await another.rename(key, newer, change, clock.now() + GRACE_MS)) !== 'renamed') return;
          key = newer;
        }
      };
      const [ended] = await Promise.all([store.deleteByUser('7'), cycle()]);
      expect(ended).toBe(1);
      expect(await store.load(key)).toBeUndefined();
      expect(await store.findByUser('7')).toEqual([]);
    }
  });
});
