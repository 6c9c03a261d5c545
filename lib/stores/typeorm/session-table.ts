import type { Type } from '@nestjs/common';
import {
  Between,
  type DataSource,
  type EntityManager,
  type EntityMetadata,
  type FindOptionsWhere,
  In,
  IsNull,
  LessThanOrEqual,
  MoreThan,
  type ObjectLiteral,
  type QueryRunner,
  type SelectQueryBuilder,
} from 'typeorm';
import type { EpochMs } from '../../core/clock.js';
import { RECORD_FORMAT } from '../../core/record.js';
import { isDuplicate, readAgainWhenBroken, repeatWhenUndone } from './driver-errors.js';
import { BatchSize } from './cleaning/batch-size.js';
import { PostgresStatements } from './cleaning/postgres-statements.js';
import { PostgresWalk } from './cleaning/postgres-walk.js';
import { type DeletedRows, type ExpiredRange, type Walk, WalkByDeadline } from './cleaning/walk.js';
import { columnName, metadataOf } from './entity-metadata.js';
import { type ExpectedRow, HotStatements } from './hot-statements.js';
import { checkGround } from './ground.js';
import { OwnConnections } from './own-connections.js';
import type { SessionEntity } from './session.entity.js';
import { applicationTransactionOver, isSqlite } from './sqlite-connection.js';
import { sameUser } from './user-column.js';

export type RowsWhere = FindOptionsWhere<SessionEntity>;
/** Columns to write, those of a subclass too; a function gives SQL. */
export type RowValues = {
  [Column in keyof SessionEntity]?: SessionEntity[Column] | (() => string);
} & ObjectLiteral;

/** A batch takes less than a visitor notices, and far less than any statement timeout. */
const WITH_ROW_LOCKS = { first: 100, min: 25, targetMs: 100 };

/** Here a batch holds up all writers, and, for better-sqlite3 is synchronous, all else that the process does. */
const WITH_ONE_WRITER = { first: 100, min: 100, targetMs: 15 };

const COLUMNS = [
  'handle',
  'key',
  'previousKey',
  'previousUntil',
  'trail',
  'replacedBy',
  'data',
  'version',
  'format',
  'userId',
  'policy',
  'createdAt',
  'lastSeenAt',
  'expiresAt',
  'absoluteExpiresAt',
  'gone',
] as const satisfies (keyof SessionEntity)[];

const WITHOUT_DATA = COLUMNS.filter((column) => column !== 'data');

/**
 * The session table, statement by statement, each on the {@link OwnConnections}. It calls no listeners of entities: an audit
 * log must not copy values.
 */
export class SessionTable {
  /** Columns that a subclass of the entity adds and that may be null. */
  readonly nullableOwnColumns: readonly string[];
  /** SQLite can't lock rows, and need not: it has one writer at a time. */
  readonly canLockRows: boolean;
  readonly #dataSource: DataSource;
  readonly #connections: OwnConnections;
  readonly #entity: Type<SessionEntity>;
  readonly #metadata: EntityMetadata;
  readonly #hotStatements: HotStatements;
  readonly #hasOwnColumns: boolean;

  /** @throws SessionOptionsError when the data source does not know the entity, or not as its database needs it */
  constructor(dataSource: DataSource, entity: Type<SessionEntity>) {
    this.#dataSource = dataSource;
    this.#connections = new OwnConnections(dataSource);
    this.#entity = entity;
    this.#metadata = metadataOf(dataSource, entity);
    this.canLockRows = !isSqlite(dataSource);
    const ours: readonly string[] = COLUMNS;
    const own = this.#metadata.columns.filter(({ propertyName }) => !ours.includes(propertyName));
    this.#hasOwnColumns = own.length > 0;
    this.nullableOwnColumns = own
      .filter(({ isNullable }) => isNullable)
      .map(({ propertyName }) => propertyName);
    this.#hotStatements = new HotStatements(dataSource, this.#connections, this.#metadata, COLUMNS);
  }

  /** The column's name as SQL. */
  column(name: keyof SessionEntity): string {
    return columnName(this.#dataSource, this.#metadata, name);
  }

  /** The row of a key, and the one that had it before its last rename. */
  load(key: string): Promise<SessionEntity[]> {
    return readAgainWhenBroken(() => this.#hotStatements.load(key));
  }

  find(where: RowsWhere): Promise<SessionEntity[]> {
    return this.#read((manager) => this.#select(manager).where(where).getMany());
  }

  /** As {@link find}, without the values. */
  findWithoutData(where: RowsWhere): Promise<SessionEntity[]> {
    return this.#read((manager) => this.#select(manager, WITHOUT_DATA).where(where).getMany());
  }

  /** The values of some rows: at most a few hundred, for they are held in memory at once. */
  findData(handles: readonly string[]): Promise<Pick<SessionEntity, 'handle' | 'data'>[]> {
    const where = { handle: In(handles) };
    return this.#read((manager) => this.#select(manager, ['handle', 'data']).where(where).getMany());
  }

  /** A condition for rows of exactly this user; undefined when no row can be theirs. */
  isOfUser(userId: string): Pick<RowsWhere, 'userId'> | undefined {
    const condition = sameUser(userId, this.#dataSource.options.type);
    return condition === undefined ? undefined : { userId: condition };
  }

  /** @throws SessionOptionsError that says what is wrong with the table as it stands in the database, and what to write */
  checkGround(): Promise<void> {
    return checkGround(this.#connections, this.#metadata);
  }

  /** Writes no row; a server that takes no writes says so all the same. */
  async checkWritable(): Promise<void> {
    const nobody = 'nobody';
    if (this.canLockRows) await this.update({ handle: nobody, key: nobody }, { version: 0 });
    else await this.load(nobody); // SQLite has one writer, and this is no reason to wait for it
  }

  count(where: RowsWhere): Promise<number> {
    return this.#read((manager) => this.#select(manager).where(where).getCount());
  }

  /** @returns false when the handle or a key is taken */
  async insert(values: RowValues): Promise<boolean> {
    const insert = ({ manager }: QueryRunner) =>
      manager
        .createQueryBuilder()
        .insert()
        .into(this.#entity)
        .values(values)
        .updateEntity(false)
        .callListeners(false)
        .execute();
    try {
      await this.#write(() => this.#connections.use(insert));
      return true;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  }

  /** @returns how many rows were written */
  update(where: RowsWhere, values: RowValues, parameters?: ObjectLiteral): Promise<number> {
    return this.#write(() =>
      this.#connections.use(({ manager }) => this.#update(manager, where, values, parameters)),
    );
  }

  /**
   * Writes the row of a living session, if it is still as it was when it was read.
   *
   * @returns how many rows were written: 1 or 0
   */
  updateExpected(expected: ExpectedRow, now: EpochMs, values: RowValues): Promise<number> {
    if (!this.#hasOwnColumns)
      return this.#write(() => this.#hotStatements.update(expected, now, RECORD_FORMAT, values));
    const { key, handle, version } = expected;
    // TypeORM knows how to write columns of any type.
    return this.update(
      {
        key,
        handle,
        version,
        gone: IsNull(),
        expiresAt: MoreThan(now),
        format: LessThanOrEqual(RECORD_FORMAT),
      },
      values,
    );
  }

  /** @returns how many rows were deleted */
  delete(where: RowsWhere): Promise<number> {
    return this.#write(() => this.#connections.use(({ manager }) => this.#delete(manager, where)));
  }

  /**
   * Reads one row and writes what `compute` makes of it, in a short transaction that holds the row's lock.
   *
   * @param compute gets undefined when there is no such row; gives undefined when nothing is to be written
   */
  updateLocked(
    handle: string,
    compute: (row: SessionEntity | undefined) => RowValues | undefined,
  ): Promise<void> {
    return this.#write(() =>
      this.#connections.transaction(async ({ manager }) => {
        // By primary key, as all updates go: two that lock the same indexes in two orders are a deadlock.
        const row = await this.#select(manager).where({ handle }).setLock('pessimistic_write').getOne();
        const values = compute(row ?? undefined);
        if (values) await this.#update(manager, { handle }, values);
      }),
    );
  }

  /** A way to delete the rows that are over, at most so many of them at a time. Several side by side share the work. */
  walkExpired(now: EpochMs, batchSize: number): Walk {
    const over = { now, format: RECORD_FORMAT };
    const size = new BatchSize(batchSize, this.canLockRows ? WITH_ROW_LOCKS : WITH_ONE_WRITER);
    if (this.#dataSource.options.type === 'postgres')
      return new PostgresWalk(
        new PostgresStatements(this.#dataSource, this.#connections, this.#metadata),
        over,
        size,
      );
    return new WalkByDeadline(over, size, (range, limit) => this.#deleteExpired(range, limit));
  }

  #deleteExpired(range: ExpiredRange, limit: number): Promise<DeletedRows> {
    const deleteBatch = ({ manager }: QueryRunner) => this.#deleteBatch(manager, range, limit);
    return this.#write(() =>
      this.canLockRows ? this.#connections.transaction(deleteBatch) : this.#connections.use(deleteBatch),
    );
  }

  async #deleteBatch(manager: EntityManager, range: ExpiredRange, limit: number): Promise<DeletedRows> {
    const where: RowsWhere = {
      expiresAt: Between(range.oldest, range.now),
      format: LessThanOrEqual(range.format),
    };
    const select = this.#select(manager).where(where).orderBy('session.expiresAt').limit(limit);
    if (this.canLockRows) select.setLock('pessimistic_write');
    if (canSkipLocked(this.#dataSource)) select.setOnLocked('skip_locked');
    const found = await select.select(['session.handle', 'session.gone', 'session.expiresAt']).getMany();
    // Locked rows stay as they are, so that nothing but the primary key need be looked at.
    const condition = this.canLockRows ? {} : where;
    const deleteAll = (rows: readonly SessionEntity[]) =>
      rows.length === 0
        ? 0
        : this.#delete(manager, { ...condition, handle: In(rows.map(({ handle }) => handle)) });
    await deleteAll(found.filter(({ gone }) => gone !== null));
    // By what the statement says: without a lock another cleaner may have been faster.
    const sessions = await deleteAll(found.filter(({ gone }) => gone === null));
    return { found: found.length, sessions, latest: found.at(-1)?.expiresAt ?? range.oldest };
  }

  async #write<T>(work: () => Promise<T>): Promise<T> {
    await applicationTransactionOver(this.#dataSource);
    return repeatWhenUndone(work);
  }

  #read<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return readAgainWhenBroken(() => this.#connections.use(({ manager }) => work(manager)));
  }

  #select(
    manager: EntityManager,
    columns: readonly (keyof SessionEntity)[] = COLUMNS,
  ): SelectQueryBuilder<SessionEntity> {
    return manager
      .createQueryBuilder(this.#entity, 'session')
      .select(columns.map((column) => `session.${column}`))
      .callListeners(false);
  }

  async #update(
    manager: EntityManager,
    where: RowsWhere,
    values: RowValues,
    parameters: ObjectLiteral = {},
  ): Promise<number> {
    const update = manager.createQueryBuilder().update(this.#entity).set(values).where(where);
    const { affected } = await update
      .setParameters(parameters)
      .updateEntity(false)
      .callListeners(false)
      .execute();
    return affected ?? 0;
  }

  async #delete(manager: EntityManager, where: RowsWhere): Promise<number> {
    const deletion = manager.createQueryBuilder().delete().from(this.#entity).where(where);
    const { affected } = await deletion.callListeners(false).execute();
    return affected ?? 0;
  }
}

/** PostgreSQL from 9.5, MySQL from 8, MariaDB from 10.6 on. */
function canSkipLocked(dataSource: DataSource): boolean {
  const { driver } = dataSource;
  if (isSqlite(dataSource)) return false;
  if (driver.options.type === 'postgres') return true;
  const [major = 0, minor = 0] = (driver.version ?? '').split('.').map(Number);
  return major === 10 ? minor >= 6 : major >= 8;
}
