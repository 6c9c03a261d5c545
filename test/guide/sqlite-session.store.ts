import type Database from 'better-sqlite3';
import { applyChange, atomicChange, RECORD_FORMAT, SessionFormatException, tombstoneOf } from 'nest-session';
import { type SessionChange, type SessionRecord, SessionStore, SystemClock } from 'nest-session';

const TABLE = 'CREATE TABLE IF NOT EXISTS session (key TEXT PRIMARY KEY, record TEXT, expiresAt INTEGER)';
const SELECT = 'SELECT record FROM session WHERE key = ? AND expiresAt > ?';
const INSERT = 'INSERT INTO session (record, expiresAt, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING';
const UPDATE = 'UPDATE session SET record = ?, expiresAt = ? WHERE key = ?';

export class SqliteSessionStore extends SessionStore {
  readonly #db: Database.Database;
  readonly #clock: SystemClock;
  constructor(db: Database.Database, clock = new SystemClock()) {
    super();
    this.#db = db.exec(TABLE);
    this.#clock = clock;
  }
  async load(key: string) {
    return this.#read(key);
  }
  async create(key: string, record: SessionRecord) {
    return this.#write(INSERT, key, record);
  }
  async save(key: string, change: SessionChange) {
    return this.#update(key, false, (old) => this.#write(UPDATE, key, applyChange(old, change)));
  }
  async delete(key: string, until = 0) {
    return this.#update(key, false, (old) => this.#write(UPDATE, key, tombstoneOf(old, 'ended', until)));
  }
  override async rename(key: string, newKey: string, change: SessionChange, until = 0) {
    return this.#update(key, 'gone' as const, (old) => {
      if (!this.#write(INSERT, newKey, applyChange(old, change))) return 'taken';
      this.#write(UPDATE, key, tombstoneOf(old, 'renamed', until, { key: newKey, trail: change.trail }));
      return 'renamed';
    });
  }
  override async atomic(key: string, name: string, update: (text?: string) => string | undefined) {
    return this.#update(key, undefined, (old) => {
      const { change, text } = atomicChange(old, name, update);
      this.#write(UPDATE, key, applyChange(old, change));
      return { text };
    });
  }
  #update<Answer, Gone>(key: string, gone: Gone, work: (old: SessionRecord) => Answer) {
    const transaction = this.#db.transaction((): Answer | Gone => {
      const old = this.#read(key);
      if (old && old.format > RECORD_FORMAT) throw new SessionFormatException(old.handle, old.format);
      return !old || old.gone ? gone : work(old);
    });
    return transaction.immediate(); // waits for the transactions of other processes
  }
  #read(key: string) {
    const row = this.#db.prepare(SELECT).get(key, this.#clock.now()) as { record: string } | undefined;
    return row && (JSON.parse(row.record) as SessionRecord);
  }
  #write(statement: string, key: string, record: SessionRecord) {
    return this.#db.prepare(statement).run(JSON.stringify(record), record.expiresAt, key).changes > 0;
  }
}
