import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describeSessionStore } from 'nest-session/testing';
import { SqliteSessionStore } from './sqlite-session.store.js';

let folder: string;
const connections: Database.Database[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sessions-'));
});
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close();
  await rm(folder, { recursive: true });
});

const connect = () => {
  connections.push(new Database(join(folder, 'sessions.sqlite')));
  return connections.at(-1)!;
};

describeSessionStore('my store', ({ clock }) => new SqliteSessionStore(connect(), clock), {
  lacks: ['users', 'count', 'cleaning'],
  openAnother: ({ clock }) => new SqliteSessionStore(connect(), clock), // as another process does
  breakIt: async () => connections.forEach((connection) => connection.close()),
});

describeSessionStore('my store, by itself', () => new SqliteSessionStore(connect()), {
  lacks: ['users', 'count', 'cleaning'],
  time: 'server',
});
