import { randomBytes } from 'node:crypto';
import {
  Inject,
  Injectable,
  type ModuleMetadata,
  type OnModuleInit,
  Optional,
  type Type,
} from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { type DataSource, IsNull, LessThanOrEqual, MoreThan, Not } from 'typeorm';
import { type EpochMs, SessionClock, systemClock } from '../../core/clock.js';
import {
  applyChange,
  atomicChange,
  pickValues,
  RECORD_FORMAT,
  type SessionChange,
  type SessionRecord,
  type SessionTouch,
  tombstoneOf,
  type ValueTexts,
} from '../../core/record.js';
import { Turns } from '../../core/turns.js';
import { jsonSerializer, SESSION_SERIALIZER, type SessionSerializer } from '../../core/serializer.js';
import { SessionFormatException } from '../../errors.js';
import { calledAs } from '../called-as.js';
import {
  type AtomicResult,
  type DeleteByUserOptions,
  type DeleteExpiredOptions,
  type FindByUserOptions,
  type RenameOutcome,
  SessionStore,
  type StoredSession,
} from '../session-store.js';
import { deleteExpiredRows } from './cleaning/delete-expired-rows.js';
import { isDuplicate } from './driver-errors.js';
import { ExpiredRows } from './expired-rows.js';
import { type ColumnsOf, snapshotOf } from './own-columns.js';
import { SessionEntity } from './session.entity.js';
import { columnsOf, recordOf, recordWith, renamedMarkOf } from './session-row.js';
import { type RowsWhere, SessionTable, type RowValues } from './session-table.js';
import { readValues } from './values-text.js';

export interface TypeOrmSessionOptions<Entity extends SessionEntity = SessionEntity> {
  /** [SessionEntity] The table: a subclass for another name, another schema, more columns, or MySQL. */
  entity?: Type<Entity>;
  /** Fills the columns that `entity` adds. */
  columns?: ColumnsOf<Entity>;
}

/** Options of a store that Nest makes. */
export interface TypeOrmSessionStoreOptions<
  Entity extends SessionEntity = SessionEntity,
> extends TypeOrmSessionOptions<Entity> {
  /** [the default one] Name of the data source, as given to `TypeOrmModule.forRoot({ name })`. */
  dataSource?: string;
}

/** What {@link TypeOrmSessionStore.with} makes: a store class that the session module binds. */
export interface TypeOrmSessionStoreClass extends Type<TypeOrmSessionStore> {
  sessionImports(): NonNullable<ModuleMetadata['imports']>;
}

/** Nobody provides it: options come from `with()`, or from whoever constructs the store by hand. */
const OPTIONS = Symbol('nest-session.TypeOrmSessionOptions');

/** So many times an update may lose against a parallel one before it takes the row's lock. */
const ROUNDS_WITHOUT_LOCK = 5;

/** So many writes to one session may be under way or wait in this process. */
const MAX_WRITES = 500;

/** So many sessions of a user are read with their values at once. */
const PAGE = 50;

/** SQLite has no row locks: there it goes on, but not for ever, for the rounds of one process leave no time for timers. */
const MAX_ROUNDS = 1_000;

/** What a write has to know of the row that it changes. */
type RowState = Pick<SessionEntity, 'version' | 'previousKey' | 'previousUntil' | 'trail'>;

/** A living session, and the state of its row when it was read. */
interface Stored extends RowState {
  readonly record: SessionRecord;
}

/**
 * Keeps sessions in a table of the application's database: PostgreSQL, MySQL, MariaDB, SQLite.
 *
 * An update is a compare-and-swap on the row's version: two requests that change different values both win, and
 * nothing is locked while a handler runs. Statements run outside of the application's transactions. On SQLite, where a
 * data source has one connection, a write therefore waits until the application's transaction is over: there, do not
 * await `session.save()` inside one.
 *
 * @example
 * SessionModule.forRoot({ store: TypeOrmSessionStore, … })
 * SessionModule.forRoot({ store: TypeOrmSessionStore.with({ entity: MySqlSessionEntity, dataSource: 'web' }), … })
 * new TypeOrmSessionStore(dataSource) // in a script: the data source stays yours to destroy
 */
@Injectable()
export class TypeOrmSessionStore extends SessionStore implements OnModuleInit {
  readonly #dataSource: DataSource;
  readonly #entity: Type<SessionEntity>;
  readonly #columns: ColumnsOf<SessionEntity> | undefined;
  readonly #clock: SessionClock;
  readonly #serializer: SessionSerializer;
  /** The rows behind records that were handed out, so that a save need not read again. */
  readonly #rows = new WeakMap<SessionRecord, RowState>();
  /** Writes to one session, which would wait for each other's row lock with a connection of the pool in hand. */
  readonly #turns = new Turns(MAX_WRITES);
  readonly #expired = new ExpiredRows((record) => this.onExpired?.(record));
  #openTable: SessionTable | undefined;

  constructor(
    @Inject(getDataSourceToken()) dataSource: DataSource,
    @Optional() @Inject(OPTIONS) options: TypeOrmSessionOptions = {},
    @Optional() @Inject(SessionClock) clock?: SessionClock,
    @Optional() @Inject(SESSION_SERIALIZER) serializer?: SessionSerializer,
  ) {
    super();
    this.#dataSource = dataSource;
    this.#entity = options.entity ?? SessionEntity;
    this.#columns = options.columns;
    this.#clock = clock ?? systemClock;
    this.#serializer = serializer ?? jsonSerializer;
  }

  /** A store class with options: `store: TypeOrmSessionStore.with({ entity: VisitorSession })`. */
  static with<Entity extends SessionEntity = SessionEntity>(
    options: TypeOrmSessionStoreOptions<Entity>,
  ): TypeOrmSessionStoreClass {
    const { dataSource: name, entity = SessionEntity } = options;

    @Injectable()
    class ConfiguredTypeOrmSessionStore extends TypeOrmSessionStore {
      static override sessionImports() {
        return [TypeOrmModule.forFeature([entity], name)];
      }

      constructor(
        @Inject(getDataSourceToken(name)) dataSource: DataSource,
        @Optional() @Inject(SessionClock) clock?: SessionClock,
        @Optional() @Inject(SESSION_SERIALIZER) serializer?: SessionSerializer,
      ) {
        super(dataSource, options, clock, serializer);
      }
    }
    return calledAs(TypeOrmSessionStore, ConfiguredTypeOrmSessionStore);
  }

  /** Modules that the session module imports with this store: `autoLoadEntities` finds the entity by them. */
  static sessionImports(): NonNullable<ModuleMetadata['imports']> {
    return [TypeOrmModule.forFeature([SessionEntity])];
  }

  /** Mistakes are told when the application starts, not at its first visitor. */
  async onModuleInit(): Promise<void> {
    await this.#table.checkGround();
  }

  async load(key: string): Promise<SessionRecord | undefined> {
    const rows = await this.#table.load(key);
    const now = this.#clock.now();
    const row = rows.find((found) => found.key === key);
    if (row && row.expiresAt <= now) this.#expired.delete(this.#table, row, now);
    if (row) return row.expiresAt > now ? this.#remember(recordOf(row), row) : undefined;
    return rows[0] && renamedMarkOf(rows[0], now);
  }

  async create(key: string, record: SessionRecord): Promise<boolean> {
    const row: RowState = { version: 1, previousKey: key, previousUntil: null, trail: null };
    const { handle } = record;
    const created = await this.#table.insert({ ...this.#columnsOf(record), ...row, handle, key });
    if (created) this.#remember(record, row);
    return created;
  }

  async save(key: string, change: SessionChange, loaded?: SessionRecord): Promise<boolean> {
    return this.#turns.take(key, async () => {
      const known = this.#known(loaded) ?? (await this.#read(key));
      const saved = await this.#update(key, known, ({ record }) =>
        this.#columnsOf(applyChange(record, change)),
      );
      return saved !== undefined;
    });
  }

  async delete(key: string, tombstoneUntil?: EpochMs): Promise<boolean> {
    if ((await this.#end({ key }, tombstoneUntil)) > 0) return true;
    await this.#read(key); // there is none, or its format is newer: that throws
    return false;
  }

  override async touch(key: string, { lastSeenAt, expiresAt, basedOn }: SessionTouch): Promise<boolean> {
    const seen = this.#table.column('lastSeenAt');
    const values: RowValues = {
      expiresAt,
      lastSeenAt: () => `CASE WHEN ${seen} > :lastSeenAt THEN ${seen} ELSE :lastSeenAt END`,
      version: this.#nextVersion,
    };
    const where = { ...this.#living(), key, policy: basedOn };
    return this.#turns.take(key, async () => {
      if ((await this.#table.update(where, values, { lastSeenAt })) > 0) return true;
      return (await this.#read(key)) !== undefined; // it has another policy, or it ended
    });
  }

  override rename(
    key: string,
    newKey: string,
    change: SessionChange,
    tombstoneUntil?: EpochMs,
    loaded?: SessionRecord,
  ): Promise<RenameOutcome> {
    return this.#turns.take(key, () => this.#rename(key, newKey, change, tombstoneUntil, loaded));
  }

  async #rename(
    key: string,
    newKey: string,
    change: SessionChange,
    tombstoneUntil: EpochMs | undefined,
    loaded: SessionRecord | undefined,
  ): Promise<RenameOutcome> {
    const mark: RowValues =
      tombstoneUntil === undefined
        ? { previousKey: newKey, previousUntil: null, trail: null }
        : { previousKey: key, previousUntil: tombstoneUntil, trail: change.trail ?? null };
    const known = this.#known(loaded) ?? (await this.#read(key));
    if (known) await this.#keepOlderMark(key, known);
    try {
      const renamed = await this.#update(key, known, ({ record }) => ({
        ...this.#columnsOf(applyChange(record, change)),
        ...mark,
        key: newKey,
      }));
      return renamed ? 'renamed' : 'gone';
    } catch (error) {
      if (isDuplicate(error)) return 'taken';
      throw error;
    }
  }

  override async atomic(
    key: string,
    name: string,
    update: (text: string | undefined) => string | undefined,
  ): Promise<AtomicResult | undefined> {
    return this.#turns.take(key, async () => {
      let written: string | undefined;
      const updated = await this.#update(key, await this.#read(key), ({ record }) => {
        const { change, text } = atomicChange(record, name, update);
        written = text;
        return this.#columnsOf(applyChange(record, change));
      });
      return updated && { text: written };
    });
  }

  override async deleteExpired(options: DeleteExpiredOptions = {}): Promise<number> {
    return deleteExpiredRows(this.#table, this.#clock.now(), options);
  }

  override countExpired(): Promise<number> {
    return this.#table.count({ ...this.#over(), gone: IsNull() });
  }

  override async findByUser(userId: string, options: FindByUserOptions = {}): Promise<StoredSession[]> {
    const ofUser = this.#table.isOfUser(userId);
    if (!ofUser) return [];
    const { handle, values } = options;
    const where = { ...this.#livingOfAnyFormat(), ...ofUser, ...(handle !== undefined && { handle }) };
    if (values) return this.#findWith(values, where);
    const rows = await this.#table.find(where);
    return rows.map((row) => ({ key: row.key, record: this.#remember(recordOf(row), row) }));
  }

  /** @throws SessionFormatException when a session of a newer format is among them; the others have ended then */
  override async deleteByUser(userId: string, options: DeleteByUserOptions = {}): Promise<number> {
    const ofUser = this.#table.isOfUser(userId);
    if (!ofUser) return 0;
    const { exceptKey, exceptHandle, tombstoneUntil } = options;
    const where: RowsWhere = {
      ...ofUser,
      ...(exceptKey !== undefined && { key: Not(exceptKey) }),
      ...(exceptHandle !== undefined && { handle: Not(exceptHandle) }),
    };
    const ended = await this.#end(where, tombstoneUntil);
    const newer = { ...this.#livingOfAnyFormat(), ...where, format: MoreThan(RECORD_FORMAT) };
    const [left] = await this.#table.findWithoutData(newer);
    if (left) throw new SessionFormatException(left.handle, left.format);
    return ended;
  }

  override count(): Promise<number> {
    return this.#table.count(this.#livingOfAnyFormat());
  }

  /** @throws also where the table can be read and not written: a replica, a server that is read-only */
  override ping(): Promise<void> {
    return this.#table.checkWritable();
  }

  /** The data source stays open; what is being deleted in the background is waited for. */
  override close(): Promise<void> {
    return this.#expired.settled();
  }

  /** Sessions with some of their values alone, which are read a page at a time. */
  async #findWith(names: readonly string[], where: RowsWhere): Promise<StoredSession[]> {
    const rows = await this.#table.findWithoutData(where);
    const values = names.length > 0 ? await this.#valuesOf(rows, names) : undefined;
    return rows.map((row) => ({
      key: row.key,
      record: recordWith(row, values && row.format <= RECORD_FORMAT ? values.get(row.handle) : {}),
    }));
  }

  async #valuesOf(
    rows: readonly SessionEntity[],
    names: readonly string[],
  ): Promise<Map<string, ValueTexts | undefined>> {
    const found = new Map<string, ValueTexts | undefined>();
    for (let next = 0; next < rows.length; next += PAGE) {
      const page = rows.slice(next, next + PAGE).filter(({ format }) => format <= RECORD_FORMAT);
      for (const { handle, data } of await this.#table.findData(page.map((row) => row.handle))) {
        const values = readValues(data);
        found.set(handle, values && pickValues(values, names));
      }
    }
    return found;
  }

  /** On first use, for only an initialised data source knows its entities. */
  get #table(): SessionTable {
    return (this.#openTable ??= new SessionTable(this.#dataSource, this.#entity));
  }

  /** Sessions that may be changed: alive, and of a format that this release understands. */
  #living(): RowsWhere {
    return { ...this.#livingOfAnyFormat(), format: LessThanOrEqual(RECORD_FORMAT) };
  }

  #livingOfAnyFormat(): RowsWhere {
    return { gone: IsNull(), expiresAt: MoreThan(this.#clock.now()) };
  }

  /** Sessions and tombstones that may be cleared. */
  #over(): RowsWhere {
    return { expiresAt: LessThanOrEqual(this.#clock.now()), format: LessThanOrEqual(RECORD_FORMAT) };
  }

  readonly #nextVersion = () => `${this.#table.column('version')} + 1`;

  #columnsOf(record: SessionRecord): RowValues {
    const own = this.#columns?.(snapshotOf(record, this.#serializer));
    return { ...own, ...columnsOf(record) };
  }

  #remember(record: SessionRecord, { version, previousKey, previousUntil, trail }: RowState): SessionRecord {
    this.#rows.set(record, { version, previousKey, previousUntil, trail });
    return record;
  }

  /** @throws SessionFormatException */
  async #read(key: string): Promise<Stored | undefined> {
    const now = this.#clock.now();
    const row = (await this.#table.load(key)).find((found) => found.key === key);
    return row && row.gone === null && row.expiresAt > now ? storedOf(row) : undefined;
  }

  /** What the caller loaded from here; whether that is still the newest, the update will tell. */
  #known(loaded: SessionRecord | undefined): Stored | undefined {
    const row = loaded && this.#rows.get(loaded);
    return row && loaded.format <= RECORD_FORMAT ? { record: loaded, ...row } : undefined;
  }

  /**
   * Writes what `compute` makes of the living session under `key`, as often as it takes to be computed from what is
   * stored at that moment.
   *
   * @param known what is stored, as far as the caller knows
   * @returns what it was computed from; undefined when there is no living session
   */
  async #update(
    key: string,
    known: Stored | undefined,
    compute: (stored: Stored) => RowValues,
  ): Promise<Stored | undefined> {
    let stored = known;
    for (let round = 1; stored; round++) {
      const { handle } = stored.record;
      if (round > ROUNDS_WITHOUT_LOCK && this.#table.canLockRows)
        return this.#updateLocked(key, handle, compute);
      if (round > MAX_ROUNDS)
        throw new Error(`The session changed ${MAX_ROUNDS} times before it could be saved.`);
      const { version } = stored;
      const values = { ...compute(stored), version: version + 1 };
      if ((await this.#table.updateExpected({ key, handle, version }, this.#clock.now(), values)) > 0)
        return stored;
      stored = await this.#read(key);
    }
    return undefined;
  }

  async #updateLocked(
    key: string,
    handle: string,
    compute: (stored: Stored) => RowValues,
  ): Promise<Stored | undefined> {
    let stored: Stored | undefined;
    await this.#table.updateLocked(handle, (row) => {
      const isLiving = row?.key === key && row.gone === null && row.expiresAt > this.#clock.now();
      stored = isLiving ? storedOf(row) : undefined;
      return stored && { ...compute(stored), version: stored.version + 1 };
    });
    return stored;
  }

  /** Ends all living sessions that `where` names, and leaves tombstones if they are to be seen at all. */
  #end(where: RowsWhere, tombstoneUntil: EpochMs | undefined): Promise<number> {
    const living = { ...this.#living(), ...where };
    if (tombstoneUntil === undefined || tombstoneUntil <= this.#clock.now())
      return this.#table.delete(living);
    const own = Object.fromEntries(this.#table.nullableOwnColumns.map((name) => [name, null]));
    return this.#table.update(living, {
      ...own,
      gone: 'ended',
      data: '{}',
      userId: null,
      expiresAt: tombstoneUntil,
      version: this.#nextVersion,
    });
  }

  /**
   * A row has room for one mark. A session that is renamed twice within the grace time leaves the older one as a row of its
   * own: made before the rename, so that at no moment a key is forgotten which still leads to the session. Until the rename,
   * and if that comes to nothing, both say the same.
   */
  async #keepOlderMark(key: string, { record, previousKey, previousUntil, trail }: Stored): Promise<void> {
    const isOver = previousUntil === null || previousUntil <= this.#clock.now();
    if (isOver || previousKey === key) return;
    const own = Object.entries(this.#columns?.(snapshotOf(record, this.#serializer)) ?? {});
    const required = own.filter(([name]) => !this.#table.nullableOwnColumns.includes(name));
    const successor = { key, trail: trail ?? undefined };
    const mark: RowValues = columnsOf(tombstoneOf(record, 'renamed', previousUntil, successor));
    await this.#table.insert({
      ...Object.fromEntries(required),
      ...mark,
      handle: randomBytes(16).toString('hex'), // a primary key; the session's own is in use
      key: previousKey,
      previousKey: randomBytes(32).toString('hex'), // unique, and in use as well
      previousUntil: null,
      version: 1,
    });
  }
}

/** @throws SessionFormatException: what a newer release wrote, this one does not change */
function storedOf(row: SessionEntity): Stored {
  if (row.format > RECORD_FORMAT) throw new SessionFormatException(row.handle, row.format);
  const { version, previousKey, previousUntil, trail } = row;
  return { record: recordOf(row), version, previousKey, previousUntil, trail };
}
