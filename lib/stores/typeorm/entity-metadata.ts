import type { Type } from '@nestjs/common';
import type { DataSource, EntityMetadata } from 'typeorm';
import { SessionOptionsError } from '../../errors.js';
import type { SessionEntity } from './session.entity.js';

const MYSQL_TYPES: readonly string[] = ['mysql', 'mariadb', 'aurora-mysql'];
const LARGE_TEXTS: readonly unknown[] = ['mediumtext', 'longtext'];

/** @param type `type` of the data source's options */
export function isMySql(type: string): boolean {
  return MYSQL_TYPES.includes(type);
}

/** @throws SessionOptionsError when the data source does not know the entity, or not as its database needs it */
export function metadataOf(dataSource: DataSource, entity: Type<SessionEntity>): EntityMetadata {
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
  return metadata;
}

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
