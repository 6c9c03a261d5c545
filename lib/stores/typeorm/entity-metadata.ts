import type { Type } from '@nestjs/common';
import type { DataSource, EntityMetadata } from 'typeorm';
import { SessionOptionsError } from '../../errors.js';
import type { SessionEntity } from './session.entity.js';

const MYSQL_TYPES: readonly string[] = ['mysql', 'mariadb', 'aurora-mysql'];
const LARGE_TEXTS: readonly unknown[] = ['mediumtext', 'longtext'];

/** On which the store is tested: elsewhere an update may not say how many rows it wrote, and a save would be lost. */
const TESTED_TYPES: readonly string[] = ['postgres', 'mysql', 'mariadb', 'better-sqlite3'];
const SQLITE_TYPES: readonly string[] = [
  'sqlite',
  'sqljs',
  'expo',
  'capacitor',
  'cordova',
  'react-native',
  'nativescript',
];

/** @param type `type` of the data source's options */
export function isMySql(type: string): boolean {
  return MYSQL_TYPES.includes(type);
}

/** @throws SessionOptionsError when the data source does not know the entity, or not as its database needs it */
export function metadataOf(dataSource: DataSource, entity: Type<SessionEntity>): EntityMetadata {
  refuseUntestedType(dataSource.options.type);
  if (!dataSource.hasMetadata(entity)) {
    throw new SessionOptionsError([
      `the TypeORM data source does not know ${entity.name}: set \`autoLoadEntities: true\` in ` +
        `TypeOrmModule.forRoot(), or add it to the data source: \`entities: [${entity.name}]\`.`,
    ]);
  }
  const metadata = dataSource.getMetadata(entity);
  const dataType = metadata.findColumnWithPropertyName('data')?.type;
  if (isMySql(dataSource.options.type) && !LARGE_TEXTS.includes(dataType)) {
    throw new SessionOptionsError([
      `${entity.name} keeps its data in a ${String(dataType)}, which ends at 64 kB on MySQL and MariaDB: write ` +
        '`store: TypeOrmSessionStore.with({ entity: MySqlSessionEntity })`, or extend MySqlSessionEntity.',
    ]);
  }
  refuseSharedTable(dataSource, metadata);
  return metadata;
}

function refuseUntestedType(type: string): void {
  if (TESTED_TYPES.includes(type)) return;
  const instead = SQLITE_TYPES.includes(type)
    ? "write `type: 'better-sqlite3'` (npm install better-sqlite3), which reads the same files"
    : `it works with ${TESTED_TYPES.join(', ')}; give the sessions a data source of their own ` +
      "(`TypeOrmSessionStore.with({ dataSource: 'sessions' })`), or another store";
  throw new SessionOptionsError([`TypeOrmSessionStore does not work with \`type: '${type}'\`: ${instead}.`]);
}

/** An entity of the application that has the same table: `class Session` is called `session` too. */
function refuseSharedTable(
  { entityMetadatas }: DataSource,
  { target, tablePath, name }: EntityMetadata,
): void {
  const other = entityMetadatas.find(
    (each) => each.target !== target && each.tablePath === tablePath && !isOurs(each),
  );
  if (!other) return;
  throw new SessionOptionsError([
    `the entities ${name} and ${other.name} have the same table, ${tablePath}: give one of them another name, ` +
      `${SUBCLASS_EXAMPLE}, or \`@Entity('another_name')\` on ${other.name}.`,
  ]);
}

/** SessionEntity, MySqlSessionEntity, or a subclass: Nest loads those of all stores in the process. */
function isOurs(metadata: EntityMetadata): boolean {
  return ['handle', 'previousKey', 'replacedBy'].every((name) => metadata.findColumnWithPropertyName(name));
}

/** How the table of sessions gets another name. */
export const SUBCLASS_EXAMPLE =
  "such as `@Entity('visitor_session') class VisitorSession extends SessionEntity {}` with " +
  '`store: TypeOrmSessionStore.with({ entity: VisitorSession })`';

/** The table's name as SQL, with its schema if it has one. */
export function tableName({ driver }: DataSource, { tablePath }: EntityMetadata): string {
  return tablePath
    .split('.')
    .map((name) => driver.escape(name))
    .join('.');
}

/** A column's name as SQL. */
export function columnName(
  { driver }: DataSource,
  metadata: EntityMetadata,
  column: keyof SessionEntity,
): string {
  return driver.escape(metadata.findColumnWithPropertyName(column)!.databaseName);
}
