export {
  CreateSessionTable1764000000000,
  createSessionTable,
  type SessionTableMigration,
} from './create-session-table.js';
export type { ColumnsOf, OwnColumns, SessionSnapshot } from './own-columns.js';
export { MySqlSessionEntity, SessionEntity } from './session.entity.js';
export {
  type TypeOrmSessionOptions,
  TypeOrmSessionStore,
  type TypeOrmSessionStoreClass,
  type TypeOrmSessionStoreOptions,
} from './typeorm-session.store.js';
export { UpgradeSessionTable1795824000000, upgradeSessionTable } from './upgrade-session-table.js';
