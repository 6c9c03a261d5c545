import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { EpochMs } from '../../core/clock.js';
import { EXACT_ON_MYSQL } from './table-columns.js';

/**
 * Epoch milliseconds, for PostgreSQL and MySQL give a bigint as text. A number and no timestamp: the time zones of
 * process, driver and server can't matter then.
 */
const epochMs = {
  type: 'bigint',
  transformer: {
    to: (value: unknown) => value,
    from: (value: string | number | null) => (value === null ? null : Number(value)),
  },
} as const;

/** The columns that are the same on every database: TypeORM lets no subclass give a column another type. */
abstract class SessionColumns {
  /** Until then `previousKey` is known as renamed; null: it was never renamed, or leaves no mark. */
  @Column({ ...epochMs, nullable: true })
  previousUntil!: EpochMs | null;

  /** The trail of the last rename, as it came with the change; null: there was none, or it came without. */
  @Column({ type: 'varchar', length: 64, nullable: true })
  trail!: string | null;

  /** On a tombstone: the key of what took the session's place, and behind its 64 characters the trail. */
  @Column({ type: 'varchar', length: 128, nullable: true })
  replacedBy!: string | null;

  /** Counts the writes: an update names the version that it was computed from. */
  @Column({ type: 'int' })
  version!: number;

  /** Format of the record; rows of a newer one are left alone. */
  @Column({ type: 'int' })
  format!: number;

  @Column({ type: 'varchar', length: 255 })
  policy!: string;

  @Column(epochMs)
  createdAt!: EpochMs;

  @Column(epochMs)
  lastSeenAt!: EpochMs;

  /** The earliest of all deadlines; of a tombstone, its end. */
  @Index()
  @Column(epochMs)
  expiresAt!: EpochMs;

  @Column(epochMs)
  absoluteExpiresAt!: EpochMs;

  /** Set on a tombstone. */
  @Column({ type: 'varchar', length: 16, nullable: true })
  gone!: 'renamed' | 'ended' | null;
}

/**
 * One row per session, living or just gone.
 *
 * For another table or schema: `@Entity('visitor_session', { schema: 'web' }) class VisitorSession extends SessionEntity {}`.
 * For columns of your own: declare them in such a subclass, and fill them by the store's `columns`.
 * On MySQL and MariaDB it is {@link MySqlSessionEntity}, or a subclass of that.
 */
@Entity('session')
export class SessionEntity extends SessionColumns {
  /** The handle: 32 hex characters, the session's public name, the same for all its life. */
  @PrimaryColumn({ type: 'varchar', length: 32 })
  handle!: string;

  /** SHA-256 of the session's id in hex. Only an insert and a rename write it. */
  @Column({ type: 'varchar', length: 64, unique: true })
  key!: string;

  /**
   * The key before the last rename, and until the first one the key itself: so the unique index makes an insert under
   * a key that another row still remembers fail, with no second query.
   */
  @Column({ type: 'varchar', length: 64, unique: true })
  previousKey!: string;

  /** Whose session it is; null: nobody logged in. */
  @Index()
  @Column({ type: 'varchar', length: 255, nullable: true })
  userId!: string | null;

  /** The values: a JSON object of texts by name, in ASCII, so that the table's character set can't matter. */
  @Column({ type: 'text' })
  data!: string;
}

/** The same table for MySQL and MariaDB, where `text` ends at 64 kB and texts compare by the table's collation. */
@Entity('session')
export class MySqlSessionEntity extends SessionColumns {
  @PrimaryColumn({ type: 'varchar', length: 32, ...EXACT_ON_MYSQL })
  handle!: string;

  @Column({ type: 'varchar', length: 64, unique: true, ...EXACT_ON_MYSQL })
  key!: string;

  @Column({ type: 'varchar', length: 64, unique: true, ...EXACT_ON_MYSQL })
  previousKey!: string;

  @Index()
  @Column({ type: 'varchar', length: 255, nullable: true, ...EXACT_ON_MYSQL })
  userId!: string | null;

  @Column({ type: 'mediumtext' })
  data!: string;
}
