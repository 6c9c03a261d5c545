import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import { DataSource } from 'typeorm';

/** An SQLite file with the session table, which a command works on while a test looks into it. */
export class SeededDatabase {
  readonly store: TypeOrmSessionStore;

  private constructor(
    readonly file: string,
    readonly dataSource: DataSource,
  ) {
    this.store = new TypeOrmSessionStore(dataSource);
  }

  static async create(): Promise<SeededDatabase> {
    const file = join(tmpdir(), `nest_session_${randomBytes(6).toString('hex')}.sqlite`);
    const dataSource = await new DataSource({
      type: 'better-sqlite3',
      database: file,
      entities: [SessionEntity],
      synchronize: true,
    }).initialize();
    return new SeededDatabase(file, dataSource);
  }

  /** Many expired sessions, in one statement. */
  async addExpired(number: number): Promise<void> {
    await this.dataSource.query(
      `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
       INSERT INTO session (handle, key, "previousKey", data, version, format, policy,
                            "createdAt", "lastSeenAt", "expiresAt", "absoluteExpiresAt")
       SELECT printf('%032x', n), printf('%064x', n), printf('%064x', n), '{"cart":"[1,2,3]"}', 1, 1, '', n, n, n, n
       FROM numbers`,
      [number],
    );
  }

  async rows(): Promise<number> {
    const [{ rows }] = await this.dataSource.query<{ rows: number }[]>(
      'SELECT count(*) AS rows FROM session',
    );
    return rows;
  }

  async drop(): Promise<void> {
    await this.dataSource.destroy();
    for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(this.file + suffix, { force: true });
  }
}
