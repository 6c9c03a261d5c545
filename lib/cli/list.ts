import type { Command } from 'commander';
import type { SessionRecord } from '../core/record.js';
import type { SessionStore } from '../stores/session-store.js';
import { sessionsOfUser } from '../stores/sessions-of-user.js';
import { notEmpty } from './arguments.js';
import { addStoreOptions, type OnStore, onStore, type StoreOptions, type Surroundings } from './on-store.js';
import { columns } from './texts.js';

interface ListOptions extends StoreOptions {
  readonly user: string;
}

/** What may be told of a session: no key, no id, no values. */
export interface ListedSession {
  readonly handle: string;
  /** ISO 8601, in UTC; and so below. */
  readonly createdAt: string;
  readonly lastSeenAt: string;
  readonly expiresAt: string;
}

export function addListCommand(program: Command, surroundings: Surroundings): void {
  addStoreOptions(program.command('list').description('list the sessions of a user'))
    .requiredOption('--user <id>', 'whose sessions', notEmpty)
    .action((options: ListOptions) => onStore(options, surroundings, (on) => list(options, on)));
}

async function list({ user, json }: ListOptions, on: OnStore): Promise<void> {
  const { store, terminal, interruption } = on;
  const sessions = await interruption.race(listedSessionsOf(store, user));
  if (json) return terminal.printJson(sessions);
  if (sessions.length === 0) return terminal.note(`User ${user} has no sessions.`);
  terminal.print(tableOf(sessions));
}

/** The living sessions of a user, the one used last first. */
export async function listedSessionsOf(store: SessionStore, user: string): Promise<ListedSession[]> {
  const found = (await sessionsOfUser(store, user, { values: [] })).map(({ record }) => record);
  return found.sort((a, b) => b.lastSeenAt - a.lastSeenAt).map(listed);
}

export function tableOf(sessions: readonly ListedSession[]): string {
  const rows = sessions.map(({ handle, createdAt, lastSeenAt, expiresAt }) => [
    handle,
    createdAt,
    lastSeenAt,
    expiresAt,
  ]);
  return columns([['HANDLE', 'CREATED', 'LAST SEEN', 'EXPIRES'], ...rows]);
}

function listed({ handle, createdAt, lastSeenAt, expiresAt }: SessionRecord): ListedSession {
  return {
    handle,
    createdAt: new Date(createdAt).toISOString(),
    lastSeenAt: new Date(lastSeenAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  };
}
