import { readFile } from 'node:fs/promises';
import { RECORD_FORMAT, SessionFormatException } from 'nest-session';
import { aChange, aRecord, FakeClock, newKey, STORE_LACKS } from 'nest-session/testing';
import Database from 'better-sqlite3';
import { SqliteSessionStore } from './sqlite-session.store.js';

const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');

describe('the guide to a store of your own', () => {
  it.each(['sqlite-session.store.ts', 'sqlite-session.store.spec.ts'])(
    'shows what is tested: %s',
    async (name) => {
      expect(await read('../../docs/your-own-store.md')).toContain(`\n\`\`\`ts\n${await read(name)}\`\`\`\n`);
    },
  );

  it('ends with a store of under 60 lines, and says how many', async () => {
    const lines = (await read('sqlite-session.store.ts')).trimEnd().split('\n').length;
    expect(lines).toBeLessThan(60);
    expect(await read('../../docs/your-own-store.md')).toContain(`in ${lines} lines`);
  });

  it('says of everything that a store may lack what users lose, and of nothing else', async () => {
    const guide = await read('../../docs/your-own-store.md');
    const table = guide.slice(guide.indexOf('| `lacks`'), guide.indexOf('A store that only gets'));
    const named = [...table.matchAll(/^\| `([a-z-]+)`/gm)].map(([, name]) => name);
    expect(named).toEqual(['lacks', ...Object.keys(STORE_LACKS)]);
  });

  it("has a store that keeps its hands off a newer release's sessions", async () => {
    const db = new Database(':memory:');
    const store = new SqliteSessionStore(db, new FakeClock());
    const key = newKey();
    const record = aRecord({ format: RECORD_FORMAT + 1 });
    await store.create(key, record);
    await expect(store.save(key, aChange())).rejects.toThrow(SessionFormatException);
    await expect(store.delete(key)).rejects.toThrow(SessionFormatException);
    expect(await store.load(key)).toEqual(record);
    db.close();
  });
});
