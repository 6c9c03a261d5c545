import type { DataSource, EntityMetadata } from 'typeorm';
import { repeatWhenUndone } from '../driver-errors.js';
import { columnName, tableName } from '../entity-metadata.js';
import type { OwnConnections } from '../own-connections.js';
import type { SessionEntity } from '../session.entity.js';
import type { DeletedRows, ExpiredBy, ExpiredRange } from './walk.js';

/** Where a row lies: PostgreSQL's `ctid`. Pages count from 0, rows from 1. */
export interface Place {
  readonly page: number;
  readonly row: number;
}

/** What became of up to so many rows of some pages. */
export interface DeletedFromPages {
  readonly found: number;
  /** How many of them were sessions and no tombstones. */
  readonly sessions: number;
  /** Of the last row that was found; {0, 0} when there was none. */
  readonly last: Place;
}

/**
 * For the transaction in hand, whatever the statistics say: where they are old, the planner takes what is over for few
 * rows, and reads and sorts them all for each batch.
 */
const ONLY_BY_INDEX = 'SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off';
const ONLY_BY_PLACE =
  'SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off';

/** Numbers as PostgreSQL gives a bigint: as text. */
interface BatchRow {
  readonly found: string;
  readonly sessions: string;
  readonly last: string | null;
}

/**
 * Batches on PostgreSQL: found, locked and deleted by one statement, so that the rows never come to this process.
 * That takes half of the CPU time of a list of primary keys there and back.
 */
export class PostgresStatements {
  readonly #connections: OwnConnections;
  readonly #table: string;
  readonly #byDeadline: string;
  readonly #byPlace: string;

  constructor(dataSource: DataSource, connections: OwnConnections, metadata: EntityMetadata) {
    const column = (name: keyof SessionEntity) => columnName(dataSource, metadata, name);
    const [handle, expiresAt, format, gone] = (['handle', 'expiresAt', 'format', 'gone'] as const).map(
      column,
    );
    this.#connections = connections;
    this.#table = tableName(dataSource, metadata);
    this.#byDeadline = `
      WITH batch AS MATERIALIZED (
        SELECT ${handle}, ${expiresAt}, ${gone} FROM ${this.#table}
        WHERE ${expiresAt} BETWEEN $1 AND $2 AND ${format} <= $3
        ORDER BY ${expiresAt} LIMIT $4 FOR UPDATE SKIP LOCKED
      ), deleted AS (
        DELETE FROM ${this.#table} AS session USING batch WHERE session.${handle} = batch.${handle}
        RETURNING batch.${expiresAt}, batch.${gone}
      )
      SELECT count(*) AS found, count(*) FILTER (WHERE ${gone} IS NULL) AS sessions, max(${expiresAt}) AS last
      FROM deleted`;
    // The condition twice: a place alone says nothing about who lies there.
    const isOver = `${expiresAt} <= $1 AND ${format} <= $2`;
    this.#byPlace = `
      WITH batch AS MATERIALIZED (
        SELECT ctid AS place FROM ${this.#table} WHERE ctid > $3::tid AND ctid < $4::tid AND ${isOver}
        ORDER BY ctid LIMIT $5 FOR UPDATE SKIP LOCKED
      ), deleted AS (
        DELETE FROM ${this.#table} WHERE ctid = ANY (ARRAY(SELECT place FROM batch)) AND ${isOver}
        RETURNING ${gone}
      )
      SELECT (SELECT count(*) FROM batch) AS found, (SELECT max(place) FROM batch) AS last,
        count(*) FILTER (WHERE ${gone} IS NULL) AS sessions
      FROM deleted`;
  }

  /**
   * How many pages the table has; 0 where its rows can't be had in the order in which they lie: before PostgreSQL 14, in
   * partitions, in another kind of storage.
   */
  async countPages(): Promise<number> {
    const statement = `
      SELECT pg_relation_size(kind.oid) / current_setting('block_size')::int AS pages
      FROM pg_class AS kind JOIN pg_am AS storage ON storage.oid = kind.relam
      WHERE kind.oid = to_regclass($1) AND kind.relkind = 'r' AND NOT kind.relhassubclass
        AND storage.amname = 'heap' AND current_setting('server_version_num')::int >= 140000`;
    const rows = await this.#connections.use<{ pages: string }[]>((runner) =>
      runner.query(statement, [this.#table]),
    );
    return Number(rows[0]?.pages ?? 0);
  }

  /**
   * Deletes up to `limit` rows of the range, those with the earliest deadlines first.
   *
   * @param maxMs after so many ms the statement is cancelled, and nothing is deleted
   */
  async deleteByDeadline(
    { oldest, now, format }: ExpiredRange,
    limit: number,
    maxMs?: number,
  ): Promise<DeletedRows> {
    const timeout = maxMs === undefined ? [] : [`SET LOCAL statement_timeout = ${maxMs}`];
    const settings = [ONLY_BY_INDEX, ...timeout].join('; ');
    const batch = await this.#delete(settings, this.#byDeadline, [oldest, now, format, limit]);
    return { found: Number(batch.found), sessions: Number(batch.sessions), latest: Number(batch.last) };
  }

  /** Deletes up to `limit` rows that lie behind `after` and before the page `end`, in the order in which they lie. */
  async deleteByPlace(
    after: Place,
    end: number,
    { now, format }: ExpiredBy,
    limit: number,
  ): Promise<DeletedFromPages> {
    const range = [`(${after.page},${after.row})`, `(${end},0)`];
    const batch = await this.#delete(ONLY_BY_PLACE, this.#byPlace, [now, format, ...range, limit]);
    const [page, row] = (batch.last ?? '(0,0)').slice(1, -1).split(',').map(Number);
    return { found: Number(batch.found), sessions: Number(batch.sessions), last: { page, row } };
  }

  #delete(settings: string, statement: string, parameters: unknown[]): Promise<BatchRow> {
    const transaction = () =>
      this.#connections.transaction(async (runner) => {
        await runner.query(settings);
        const [batch] = (await runner.query(statement, parameters)) as [BatchRow];
        return batch;
      });
    return repeatWhenUndone(transaction);
  }
}
