import { randomBytes } from 'node:crypto';
import { MemorySessionStore } from 'nest-session';

/**
 * The kinds of store that are measured: how nest-session and the peers of each platform are wired to one, and what a
 * session written by hand would do there (`floor`).
 */
export const stores = { memory, redis, postgres };

async function memory() {
  return {
    nestSession: { store: MemorySessionStore },
    peers: { fastify: { '@fastify/session': undefined }, express: { 'express-session': undefined } },
    close: async () => undefined,
  };
}

async function redis() {
  const { createClient } = await import('redis');
  const { RedisStore } = await import('connect-redis');
  const { RedisSessionStore } = await import('nest-session/redis');
  const { CLIENT, ClientModule } = clientModule();
  const client = await createClient({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' }).connect();
  const prefix = `bench:${randomBytes(6).toString('hex')}:`;
  const peer = () => new RedisStore({ client, prefix: `${prefix}peer:` });
  return {
    nestSession: {
      store: RedisSessionStore.with({
        client: CLIENT,
        imports: [ClientModule.with(client)],
        prefix: `${prefix}ours:`,
      }),
    },
    floor: {
      get: (id) => client.get(`${prefix}floor:${id}`),
      set: (id, text) =>
        client.set(`${prefix}floor:${id}`, text, { expiration: { type: 'PX', value: 86_400_000 } }),
    },
    peers: {
      fastify: { '@fastify/session, connect-redis': peer() },
      express: { 'express-session, connect-redis': peer() },
    },
    async close() {
      for await (const keys of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 1_000 }))
        if (keys.length > 0) await client.unlink(keys);
      client.destroy();
    },
  };
}

/** A client that exists already, for Nest to inject. */
function clientModule() {
  const CLIENT = Symbol('client');
  class ClientModule {
    static with(client) {
      return { module: ClientModule, providers: [{ provide: CLIENT, useValue: client }], exports: [CLIENT] };
    }
  }
  return { CLIENT, ClientModule };
}

async function postgres() {
  const { default: pg } = await import('pg');
  const { default: connectPgSimple } = await import('connect-pg-simple');
  const { default: expressSession } = await import('express-session');
  const { TypeOrmModule } = await import('@nestjs/typeorm');
  const { TypeOrmSessionStore } = await import('nest-session/typeorm');
  const server = process.env.POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres';
  const admin = new pg.Client(server);
  await admin.connect();
  const name = `nest_session_bench_${randomBytes(6).toString('hex')}`;
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = name;
  const pool = new pg.Pool({ connectionString: url.href, max: 10 });
  pool.on('error', () => undefined); // connections that the end of the database cuts
  const PgStore = connectPgSimple(expressSession);
  const peer = new PgStore({
    pool,
    tableName: 'peer_session',
    createTableIfMissing: true,
    pruneSessionInterval: false,
  });
  return {
    nestSession: {
      store: TypeOrmSessionStore,
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: url.href, autoLoadEntities: true, synchronize: true }),
      ],
    },
    peers: { express: { 'express-session, connect-pg-simple': peer } },
    async close() {
      await pool.end();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}
