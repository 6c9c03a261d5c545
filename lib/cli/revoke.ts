import { type Command, Option } from 'commander';
import type { EpochMs } from '../core/clock.js';
import type { SessionStore } from '../stores/session-store.js';
import { sessionOfUser } from '../stores/sessions-of-user.js';
import { notEmpty } from './arguments.js';
import { CommandError, EXIT } from './exit-codes.js';
import { interruptedError } from './interruption.js';
import { type ListedSession, listedSessionsOf, tableOf } from './list.js';
import { addStoreOptions, type OnStore, onStore, type StoreOptions, type Surroundings } from './on-store.js';
import { counted } from './texts.js';

interface RevokeOptions extends StoreOptions {
  readonly user: string;
  readonly handle?: string;
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** How often a session is looked for again that got a new id between the look and the end. */
const MAX_LOOKS = 5;

export function addRevokeCommand(program: Command, surroundings: Surroundings): void {
  const handle = new Option('--handle <handle>', 'end this session of the user, as `list` shows it');
  const all = new Option('--all', 'end all sessions of the user');
  addStoreOptions(program.command('revoke').description('end one session of a user, or all of them, at once'))
    .requiredOption('--user <id>', 'whose sessions', notEmpty)
    .addOption(handle.argParser(notEmpty).conflicts('all'))
    .addOption(all)
    .option('--dry-run', 'end nothing, list what it would be')
    .option('--yes', 'do not ask')
    .action(async (options: RevokeOptions) => {
      if (options.handle === undefined && !options.all) {
        throw new CommandError(
          EXIT.usage,
          'Which sessions? Write --handle with one that `list` shows, or --all.',
        );
      }
      await onStore(options, surroundings, (on) => revoke(options, on));
    });
}

async function revoke(options: RevokeOptions, on: OnStore): Promise<void> {
  const { user, handle, dryRun, json, yes } = options;
  const { store, terminal, interruption } = on;
  const asksFirst = !yes && terminal.canAsk;
  if (dryRun || asksFirst) {
    const sessions = await interruption.race(affectedBy(options, store));
    if (dryRun && json) return terminal.printJson({ wouldRevoke: sessions });
    if (dryRun) return printAffected(sessions, on);
    if (sessions.length > 0) await askFirst(sessions, user, on);
  }

  const { signal } = interruption;
  if (signal.aborted) throw interruptedError();
  const until = on.graceEnd();
  const revoked =
    handle === undefined
      ? await store.deleteByUser(user, { tombstoneUntil: until })
      : await endByHandle(store, user, handle, until);
  if (json) return terminal.printJson({ revoked });
  terminal.print(`${counted(revoked, 'session')} of user ${user} ended.`);
}

/** @throws CommandError when the handle is none of the user's */
async function affectedBy({ user, handle }: RevokeOptions, store: SessionStore): Promise<ListedSession[]> {
  const sessions = await listedSessionsOf(store, user);
  if (handle === undefined) return sessions;
  const named = sessions.filter((session) => session.handle === handle);
  if (named.length === 0) throw notFound(user);
  return named;
}

function printAffected(sessions: readonly ListedSession[], { terminal }: OnStore): void {
  terminal.note(`${counted(sessions.length, 'session')} would end.`);
  if (sessions.length > 0) terminal.print(tableOf(sessions));
}

async function askFirst(sessions: readonly ListedSession[], user: string, on: OnStore): Promise<void> {
  const { terminal, interruption } = on;
  terminal.note(tableOf(sessions));
  const question = `End ${counted(sessions.length, 'session')} of user ${user}?`;
  if (await interruption.race(terminal.confirm(question, interruption.signal))) return;
  throw new CommandError(EXIT.interrupted, 'Not confirmed: nothing was revoked.');
}

/** Ends the session whatever its key is by now: a login in this very moment gives it another. */
async function endByHandle(
  store: SessionStore,
  user: string,
  handle: string,
  until: EpochMs,
): Promise<number> {
  for (let look = 0; look < MAX_LOOKS; look++) {
    const found = await sessionOfUser(store, user, handle, { values: [] });
    if (!found) throw notFound(user);
    if (await store.delete(found.key, until)) return 1;
  }
  throw new Error(`The session got a new id ${MAX_LOOKS} times in a row.`);
}

function notFound(user: string): CommandError {
  return new CommandError(EXIT.notFound, `User ${user} has no living session of that handle.`);
}
