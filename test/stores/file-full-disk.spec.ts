import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type {
  FileSessionStore as Store,
  SessionHealthIndicator as Health,
  SessionRecord,
} from 'nest-session';
import { SmallDisk, type Trouble } from '../support/small-disk.js';

const disk = new SmallDisk();
jest.unstable_mockModule('node:fs/promises', () => disk.fs);
const {
  clearSessions,
  FileSessionStore,
  RECORD_FORMAT,
  SessionFormatException,
  SessionHealthIndicator,
  SessionOptionsError,
  SessionStore,
} = await import('nest-session');
const { aChange, aRecord, FakeClock, newKey } = await import('nest-session/testing');
const { Browser } = await import('../support/browser.js');
const { platforms, startApp } = await import('../support/http-app.js');
const { AppUsers, loggedIn, newPerson, People } = await import('../support/people.js');

const GRACE_MS = 30_000;
const FULL: readonly Trouble[] = ['blocks', 'inodes', 'names'];

let parent: string;
let directory: string;
let clock: InstanceType<typeof FakeClock>;
let store: Store;
let warn: jest.SpiedFunction<Logger['warn']>;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'nest-session-'));
  directory = join(parent, 'sessions');
  clock = new FakeClock();
  store = new FileSessionStore({ directory }, clock);
  warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
});
afterEach(async () => {
  disk.trouble = undefined;
  disk.before = undefined;
  disk.foreign.clear();
  disk.given.clear();
  disk.owner = undefined;
  jest.restoreAllMocks();
  await rm(parent, { recursive: true, force: true });
});

const created = async (parts?: Partial<SessionRecord>): Promise<string> => {
  const key = newKey();
  expect(await store.create(key, aRecord(parts))).toBe(true);
  return key;
};
const fileOf = (key: string) => join(directory, 'sessions', key.slice(0, 3), key);
const filesThere = async () => {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
};
const filesOf = async (key: string) => (await filesThere()).filter((name) => name.includes(key));
const change = aChange({ set: { a: '1' } });
const authentication = (userId: string) =>
  aChange({ authentication: { userId, absoluteExpiresAt: aRecord().absoluteExpiresAt } });

describe.each(FULL)('on a disk without free %s', (trouble) => {
  it('a session ends, and leaves nothing', async () => {
    const [key, other] = [await created({ userId: '7' }), await created({ userId: '7' })];
    disk.trouble = trouble;
    expect(await store.delete(key, clock.now() + GRACE_MS)).toBe(true);
    expect(await store.delete(key, clock.now() + GRACE_MS)).toBe(false);
    expect(await store.load(key)).toBeUndefined();
    expect((await store.findByUser('7')).map((found) => found.key)).toEqual([other]);
    expect(await filesOf(key)).toEqual([]);
  });

  it('all sessions of a user end, but for the one that stays', async () => {
    const keys = [await created({ userId: '7' }), await created({ userId: '7' })];
    const [kept, stranger] = [await created({ userId: '7' }), await created({ userId: '8' })];
    const exceptHandle = (await store.load(kept))?.handle;
    disk.trouble = trouble;
    const options = { exceptHandle, tombstoneUntil: clock.now() + GRACE_MS };
    expect(await store.deleteByUser('7', options)).toBe(2);
    for (const key of keys) expect(await store.load(key)).toBeUndefined();
    for (const key of [kept, stranger]) expect(await store.load(key)).toBeDefined();
    expect(await store.deleteByUser('7')).toBe(1);
  });

  it('what is over is cleared', async () => {
    const expired = [await created({ userId: '7' }), await created(), await created()];
    await store.delete(await created(), clock.now() + GRACE_MS);
    clock.advance('60d');
    const living = await created({ expiresAt: clock.now() + GRACE_MS });
    disk.trouble = trouble;
    expect(await store.deleteExpired()).toBe(expired.length);
    expect(await filesThere()).toEqual([living]);
  });

  it('an expired session that somebody asks for goes, and is told of once', async () => {
    const told: unknown[] = [];
    store.onExpired = (record) => told.push(record);
    const key = await created({ userId: '7' });
    clock.advance('60d');
    disk.trouble = trouble;
    for (const _ of [1, 2]) expect(await store.load(key)).toBeUndefined();
    expect(told).toHaveLength(1);
    expect(await filesOf(key)).toEqual([]);
  });

  it('what can not be written is an error that says so, and leaves nothing more on the disk', async () => {
    const key = await created({ userId: '7' });
    const before = await filesThere();
    disk.trouble = trouble;
    const asked = [
      () => store.create(newKey(), aRecord({ userId: '7' })),
      () => store.save(key, change),
      () => store.touch(key, change),
      () => store.rename(key, newKey(), authentication('8')),
      () => store.atomic(key, 'a', () => '1'),
      () => store.ping(),
    ];
    for (const ask of asked)
      await expect(ask()).rejects.toThrow('ENOSPC: the disk is full, no blocks or no inodes are left');
    expect(await filesThere()).toEqual(before);
    disk.trouble = undefined;
    expect(await store.save(key, change)).toBe(true);
    await store.ping();
  });

  it('a session of a newer format stays, and is said to be one', async () => {
    const key = await created({ userId: '7' });
    const other = await created({ userId: '7' });
    const text = (await readFile(fileOf(key), 'utf8')).replace(
      `"format":${RECORD_FORMAT}`,
      `"format":${RECORD_FORMAT + 1}`,
    );
    await writeFile(fileOf(key), text);
    disk.trouble = trouble;
    await expect(store.delete(key)).rejects.toThrow(SessionFormatException);
    await expect(store.deleteByUser('7')).rejects.toThrow(SessionFormatException);
    expect(await readFile(fileOf(key), 'utf8')).toBe(text);
    expect(await store.load(other)).toBeUndefined();
    clock.advance('60d');
    expect(await store.deleteExpired()).toBe(0);
    expect(await filesOf(key)).toContain(key);
  });

  it('the store opens, says that the disk is full, and clears it', async () => {
    const key = await created();
    clock.advance('60d');
    disk.trouble = trouble;
    const next = new FileSessionStore({ directory }, clock);
    await next.onModuleInit();
    expect(warn.mock.calls.flat()).toEqual([expect.stringContaining(`The disk of ${directory} is full`)]);
    expect(await next.deleteExpired()).toBe(1);
    expect(await filesOf(key)).toEqual([]);
  });
});

describe('a session that ends on a full disk while another process is at it', () => {
  /** Runs what the other process does just before the next call of this name. */
  const meanwhile = (name: string, run: () => Promise<unknown>) => {
    disk.before = {
      name,
      run: async () => {
        disk.trouble = undefined; // it had begun when there was room
        await run();
        disk.trouble = 'inodes';
      },
    };
  };

  it('is not brought back by a save', async () => {
    const another = new FileSessionStore({ directory }, clock);
    const key = await created({ userId: '7' });
    disk.trouble = 'inodes';
    meanwhile('rename', () => another.save(key, change));
    expect(await store.delete(key)).toBe(true);
    expect(await store.load(key)).toBeUndefined();
    expect(await filesThere()).toEqual([]);
  });

  /** Begins what the other process does, and lets it sleep before it writes; @returns what wakes it */
  const asleep = async <T>(work: () => Promise<T>): Promise<() => Promise<T>> => {
    let wake: (() => void) | undefined;
    disk.before = { name: 'write', run: () => new Promise((resolve) => (wake = resolve)) };
    const working = work();
    while (!wake) await new Promise(setImmediate);
    return () => {
      disk.trouble = undefined;
      wake?.();
      return working;
    };
  };

  it.each(FULL)('is not brought back by a save that has read it before (%s)', async (trouble) => {
    const another = new FileSessionStore({ directory }, clock);
    const key = await created({ userId: '7' });
    const wake = await asleep(() => another.save(key, change));
    disk.trouble = trouble;
    const ended = store.delete(key);
    if (trouble !== 'blocks') expect(await ended).toBe(true); // else it waits for the lock, which can be taken
    expect([await wake(), await ended]).toEqual([trouble === 'blocks', true]);
    expect(await store.load(key)).toBeUndefined();
    expect(await filesThere()).toEqual([]);
  });

  it.each(['inodes', 'names'] as const)('has no new key that outlives it (%s)', async (trouble) => {
    const another = new FileSessionStore({ directory }, clock);
    const [key, newer] = [await created({ userId: '7' }), newKey()];
    const wake = await asleep(() => another.rename(key, newer, change, clock.now() + GRACE_MS));
    disk.trouble = trouble;
    expect(await store.delete(key)).toBe(true);
    expect(await wake()).toBe('gone');
    for (const each of [key, newer]) expect(await store.load(each)).toBeUndefined();
    expect(await store.findByUser('7')).toEqual([]);
  });

  it('lives on under its new key, when it got one in that moment: it did not end', async () => {
    const another = new FileSessionStore({ directory }, clock);
    const [key, newer] = [await created({ userId: '7' }), newKey()];
    disk.trouble = 'inodes';
    meanwhile('rename', () => another.rename(key, newer, change, clock.now() + GRACE_MS));
    expect(await store.delete(key)).toBe(false);
    expect((await store.load(key))?.successor?.key).toBe(newer);
    expect((await store.findByUser('7')).map((found) => found.key)).toEqual([newer]);
    expect(await store.deleteByUser('7')).toBe(1);
    expect(await store.load(newer)).toBeUndefined();
  });

  it('is over for both when both end it, and one of them alone has done it', async () => {
    const another = new FileSessionStore({ directory }, clock);
    const key = await created();
    disk.trouble = 'inodes';
    const ended = await Promise.all([store.delete(key), another.delete(key), another.delete(key)]);
    expect(ended.filter(Boolean)).toHaveLength(1);
    expect(await filesThere()).toEqual([]);
  });
});

describe('a file of another user', () => {
  it('is an empty session, which the next save makes readable again', async () => {
    const key = await created({ values: { a: '0' } });
    disk.foreign.add(fileOf(key));
    for (const _ of [1, 2]) expect(await store.load(key)).toMatchObject({ corrupt: true, values: {} });
    expect(await store.save(key, aChange({ set: { b: '1' } }))).toBe(true);
    disk.foreign.clear(); // the file was replaced: it is this user's
    expect({ ...(await store.load(key))?.values }).toEqual({ b: '1' });
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toContain('chown -R');
    expect(warn.mock.calls[0][0]).not.toContain(key);
  });

  it('does not stop a clearing, and is cleared itself when a day has passed', async () => {
    const key = await created();
    await created({ expiresAt: clock.now() + 1 });
    disk.foreign.add(fileOf(key));
    clock.advance('1h');
    expect(await store.deleteExpired()).toBe(1);
    clock.advance('24h');
    expect(await store.deleteExpired()).toBe(1);
    expect(await filesThere()).toEqual([]);
  });

  it('ends with the sessions of its user, for it may be readable again some day', async () => {
    const [key, other] = [await created({ userId: '7' }), await created({ userId: '8' })];
    for (const each of [key, other]) disk.foreign.add(fileOf(each));
    expect(await store.deleteByUser('7')).toBe(1);
    disk.foreign.clear();
    expect(await store.load(key)).toBeUndefined();
    expect((await store.load(other))?.userId).toBe('8');
  });

  it('stops nothing either when it is a folder, and the error comes when the others are cleared', async () => {
    const [lost, ...keys] = [await created(), await created(), await created({ userId: '7' })];
    clock.advance('60d');
    disk.foreign.add(join(fileOf(lost), '..'));
    await expect(store.deleteExpired()).rejects.toThrow(
      'EACCES: something there belongs to another user, scandir in the session directory',
    );
    for (const key of keys) expect(await filesOf(key)).toEqual([]);
  });

  it('is not made by root, where the directory belongs to somebody else', async () => {
    jest.spyOn(process as { geteuid(): number }, 'geteuid').mockReturnValue(0);
    await mkdir(directory, { mode: 0o700 });
    disk.owner = { path: directory, uid: 4711, gid: 4712 };
    const key = await created({ userId: '7' });
    await store.save(key, change);
    await store.rename(key, newKey(), change, clock.now() + GRACE_MS);
    await store.delete(await created({ userId: '8' }), clock.now() + GRACE_MS);
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    expect(entries.length).toBeGreaterThan(8);
    for (const { parentPath, name } of entries)
      expect(disk.given.get((await stat(join(parentPath, name))).ino)).toBe('4711:4712');
  });
});

describe('a disk that is mounted read-only', () => {
  it('is refused at the start, and is no matter of ownership', async () => {
    await created();
    disk.trouble = 'read-only';
    const error: unknown = await new FileSessionStore({ directory }).onModuleInit().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SessionOptionsError);
    expect(String(error)).toContain('its file system is read-only (EROFS): mount it for writing');
  });

  it('is told as what it is when it became so later, and sessions are read on', async () => {
    const key = await created();
    disk.trouble = 'read-only';
    for (const ask of [() => store.ping(), () => store.save(key, change), () => store.delete(key)])
      await expect(ask()).rejects.toThrow('EROFS: the file system is mounted read-only');
    expect(await store.load(key)).toBeDefined();
  });
});

describe.each(platforms)('an application whose disk gets full, on %s', (platform) => {
  let app: Awaited<ReturnType<typeof startApp>>;
  afterEach(() => app.close());

  it.each(FULL)('logs out, revokes and clears, and is down for who asks (%s)', async (trouble) => {
    app = await startApp({
      platform,
      controllers: [People],
      session: { auth: { users: AppUsers } },
      store: FileSessionStore.with({ directory }),
    });
    const health = async () => (await app.get<Health>(SessionHealthIndicator).isHealthy()).session.status;
    const [ada, bob] = [newPerson(), newPerson()];
    const [phone, laptop] = [
      await loggedIn(new Browser(app.url), ada),
      await loggedIn(new Browser(app.url), bob),
    ];
    await app.get<Store>(SessionStore).create(newKey(), aRecord({ expiresAt: app.clock.now() + 1 }));
    app.clock.advance('1s');
    disk.trouble = trouble;

    expect((await phone.post(`/login?user=${ada.id}`)).status).toBe(503);
    expect(await health()).toBe('down');
    const { handle } = (await phone.get('/read')).json();
    expect(handle).not.toBeNull();
    const cookie = { cookie: `sessionid=${await laptop.cookie('sessionid')}` };
    expect((await laptop.post('/logout')).status).toBe(201);
    expect((await new Browser(app.url).get('/me', cookie)).status).toBe(401);
    expect((await phone.post('/devices/all/revoke')).json()).toMatchObject({ ended: 1 });
    expect((await phone.get('/me')).status).toBe(401);
    expect(await clearSessions(app.app)).toBe(1);
    expect(await filesThere()).toEqual([]);

    disk.trouble = undefined;
    expect(await health()).toBe('up');
    expect((await (await loggedIn(new Browser(app.url), ada)).get('/me')).status).toBe(200);
  });
});
