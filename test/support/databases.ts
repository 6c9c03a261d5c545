import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Type } from '@nestjs/common';
import { MySqlSessionEntity, SessionEntity } from 'nest-session/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';

/** A database of its own for some tests. */
export interface TestDatabase {
  readonly options: DataSourceOptions;
  /** Deletes it; what is still connected is cut off. */
  drop(): Promise<void>;
}

/** A kind of database on which tests run. */
export interface DatabaseKind {
  readonly name: 'SQLite' | 'PostgreSQL' | 'MariaDB';
  /** The entity that this database needs. */
  readonly entity: Type<SessionEntity>;
  /** False when its server is not there; with REQUIRE_SERVICES=1 that throws instead. */
  available(): Promise<boolean>;
  create(): Promise<TestDatabase>;
}

const POSTGRES_URL = process.env.POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres';
const MARIADB_URL = process.env.MARIADB_URL ?? 'mysql://root@127.0.0.1:3306';

const newName = () => `nest_session_${randomBytes(6).toString('hex')}`;

const sqlite: DatabaseKind = {
  name: 'SQLite',
  entity: SessionEntity,
  available: async () => true,
  create: async () => {
    const database = join(tmpdir(), `${newName()}.sqlite`);
    const drop = async () => {
      await Promise.all(
        ['', '-wal', '-shm', '-journal'].map((suffix) => rm(database + suffix, { force: true })),
      );
    };
    return { options: { type: 'better-sqlite3', database }, drop };
  },
};

const postgres: DatabaseKind = {
  name: 'PostgreSQL',
  entity: SessionEntity,
  available: () =>
    isThere(
      'PostgreSQL',
      'POSTGRES_URL',
      postgresAt(POSTGRES_URL),
      'docker run --rm -p 5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust postgres',
    ),
  create: async () => {
    const name = newName();
    await onServer(postgresAt(POSTGRES_URL), `CREATE DATABASE "${name}"`);
    const url = new URL(POSTGRES_URL);
    url.pathname = name;
    const drop = () => onServer(postgresAt(POSTGRES_URL), `DROP DATABASE "${name}" WITH (FORCE)`);
    return { options: postgresAt(url.href), drop };
  },
};

const mariadb: DatabaseKind = {
  name: 'MariaDB',
  entity: MySqlSessionEntity,
  available: () =>
    isThere(
      'MariaDB',
      'MARIADB_URL',
      mariadbAt(MARIADB_URL),
      'docker run --rm -p 3306:3306 -e MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 mariadb',
    ),
  create: async () => {
    const name = newName();
    await onServer(mariadbAt(MARIADB_URL), `CREATE DATABASE \`${name}\``);
    const url = new URL(MARIADB_URL);
    url.pathname = name;
    return {
      options: mariadbAt(url.href),
      drop: () => onServer(mariadbAt(MARIADB_URL), `DROP DATABASE \`${name}\``),
    };
  },
};

/** All kinds on which the TypeORM store is tested. */
export const databases: readonly DatabaseKind[] = [sqlite, postgres, mariadb];

/**
 * Describes the same on each database, skipped where its server is not there. Await it at the top of a spec file:
 * blocks are described synchronously.
 */
export async function describeDatabases(title: string, body: (kind: DatabaseKind) => void): Promise<void> {
  const available = await Promise.all(databases.map((kind) => kind.available()));
  for (const [index, kind] of databases.entries()) {
    (available[index] ? describe : describe.skip)(`${title} on ${kind.name}`, () => body(kind));
  }
}

type ServerOptions = DataSourceOptions & { url: string };

function postgresAt(url: string): ServerOptions {
  return { type: 'postgres', url, connectTimeoutMS: 3_000 };
}

function mariadbAt(url: string): ServerOptions {
  return { type: 'mariadb', url, connectTimeout: 3_000 };
}

async function onServer(options: DataSourceOptions, ...statements: string[]): Promise<void> {
  const server = await new DataSource(options).initialize();
  try {
    for (const statement of statements) await server.query(statement);
  } finally {
    await server.destroy();
  }
}

async function isThere(
  name: string,
  variable: string,
  options: ServerOptions,
  start: string,
): Promise<boolean> {
  try {
    await onServer(options, 'SELECT 1');
    return true;
  } catch (error) {
    const { host } = new URL(options.url); // no user, no password
    const help = `No ${name} at ${host}: start one (${start}), or say where it is in ${variable}.`;
    if (process.env.REQUIRE_SERVICES === '1') throw new Error(help, { cause: error });
    process.stderr.write(`${help} Its tests are skipped.\n`);
    return false;
  }
}
