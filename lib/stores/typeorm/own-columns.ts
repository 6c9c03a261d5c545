import type { EpochMs } from '../../core/clock.js';
import type { SessionRecord } from '../../core/record.js';
import type { SessionSerializer } from '../../core/serializer.js';
import type { SessionEntity } from './session.entity.js';

/** What `columns` sees of a session: as it is about to be written, after the merge. */
export interface SessionSnapshot {
  readonly handle: string;
  readonly userId: string | undefined;
  readonly createdAt: EpochMs;
  /** A value, parsed; undefined when there is none. */
  get(name: string): unknown;
}

/** The columns that a subclass of the entity adds. */
export type OwnColumns<Entity extends SessionEntity> = Partial<Omit<Entity, keyof SessionEntity>>;

/**
 * Computes your own columns, at every create, save and rename. Synchronous and without side effects: it is called
 * again when a parallel request was faster.
 */
export type ColumnsOf<Entity extends SessionEntity> = (session: SessionSnapshot) => OwnColumns<Entity>;

export function snapshotOf(record: SessionRecord, serializer: SessionSerializer): SessionSnapshot {
  const { handle, userId, createdAt, values } = record;
  return {
    handle,
    userId,
    createdAt,
    get: (name) => (Object.hasOwn(values, name) ? serializer.parse(values[name]) : undefined),
  };
}
