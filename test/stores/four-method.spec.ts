import { Controller, Post } from '@nestjs/common';
import { Session, SessionClock, type SessionStore } from 'nest-session';
import { aChange, aRecord, describeSessionStore, FakeClock, newKey } from 'nest-session/testing';
import { FourMethodStore } from '../support/four-method.store.js';
import { platforms, startApp } from '../support/http-app.js';

describeSessionStore('a store of four methods', async ({ clock }) => new FourMethodStore(clock), {
  lacks: ['parallel-changes', 'parallel-ends', 'tombstones', 'users', 'count', 'cleaning'],
});

describe('what the guide says of a store of four methods', () => {
  const clock = new FakeClock();
  let store: FourMethodStore;
  let key: string;

  beforeEach(async () => {
    [store, key] = [new FourMethodStore(clock), newKey()];
    await store.create(key, aRecord());
  });
  const valuesOf = async (name: string) => ({ ...(await store.load(name))?.values });
  const set = (name: string) => aChange({ set: { [name]: '1' } });

  it('parallel-changes: of two saves at once the later one stays, whole', async () => {
    await Promise.all([store.save(key, set('a')), store.save(key, set('b'))]);
    expect(await valuesOf(key)).toEqual({ b: '1' });
    await store.save(key, set('c'));
    expect(await valuesOf(key)).toEqual({ b: '1', c: '1' });
  });

  it('parallel-changes: atomic counts right within one process all the same', async () => {
    const countUp = (text = '0') => String(Number(text) + 1);
    await Promise.all(Array.from({ length: 20 }, () => store.atomic(key, 'n', countUp)));
    expect(await valuesOf(key)).toEqual({ n: '20' });
  });

  it('parallel-ends: a save that races with a delete brings the session back', async () => {
    await Promise.all([store.delete(key), store.save(key, set('a'))]);
    expect(await store.load(key)).toBeDefined();
  });

  it('parallel-ends: one that comes after the delete does not', async () => {
    await store.delete(key);
    expect(await store.save(key, set('a'))).toBe(false);
    expect(await store.load(key)).toBeUndefined();
  });

  it('tombstones: the old key is unknown at once, whatever grace was asked for', async () => {
    const newer = newKey();
    expect(await store.rename(key, newer, aChange(), clock.now() + 30_000)).toBe('renamed');
    expect(await store.load(key)).toBeUndefined();
    await (store as SessionStore).delete(newer, clock.now() + 30_000);
    expect(await store.load(newer)).toBeUndefined();
  });

  it.each(['findByUser', 'deleteByUser', 'count', 'deleteExpired'] as const)(
    'users, count, cleaning: %s is an error that says so',
    async (method) => {
      const ask = (): Promise<unknown> => store[method]('7');
      await expect(ask()).rejects.toMatchObject({ code: 'SESSION_STORE_UNSUPPORTED' });
      await expect(ask()).rejects.toThrow(`FourMethodStore has no ${method}()`);
    },
  );
});

@Controller()
class Pages {
  @Post('write')
  write(@Session() session: Session) {
    session.set('a', 1);
  }

  @Post('cycle')
  cycle(@Session() session: Session) {
    session.cycleId();
  }
}

describe.each(platforms)('without tombstones, on %s', (platform) => {
  it('a request that comes late with the old id begins another session, and moves the cookie', async () => {
    const useFactory = (clock: SessionClock) => new FourMethodStore(clock);
    const store = { useFactory, inject: [SessionClock] };
    const app = await startApp({ platform, controllers: [Pages], store });
    const post = async (path: string, cookie = '') => {
      const { status, headers } = await fetch(app.url + path, { method: 'POST', headers: { cookie } });
      return { status, cookie: headers.getSetCookie()[0]?.split(';')[0] };
    };
    const first = await post('/write');
    const second = await post('/cycle', first.cookie);
    const late = await post('/write', first.cookie); // 409 SESSION_ROTATED, where tombstones are kept
    await app.close();
    expect(late.status).toBe(201);
    expect(new Set([first.cookie, second.cookie, late.cookie, undefined]).size).toBe(4);
  });
});

class ExpiringStore extends FourMethodStore {
  override readonly expiresByItself = true;
}

describeSessionStore('one whose service expires by itself', ({ clock }) => new ExpiringStore(clock), {
  lacks: ['parallel-changes', 'parallel-ends', 'tombstones', 'users', 'count'],
  expiresByItself: true,
});
