import { Logger } from '@nestjs/common';
import { SessionOptionsError } from '../../errors.js';
import type { RedisLink } from './redis-link.js';
import { RedisNoPermission, type RedisRefusal, refusalOf, rethrow } from './refusals.js';
import type { Script } from './script.js';
import { TRY_INDEX, TRY_SESSION } from './scripts.js';

/** Keys that no session and no user has. The two of sessions lie in different slots of a cluster. */
const [NO_SESSION, NO_OTHER_SESSION] = ['0'.repeat(64), 'f'.repeat(64)];
const NO_USER = `user:${'0'.repeat(40)}`;

/**
 * Looks, when the application starts, whether the server can be used: everything that will be done with it is done once,
 * and leaves nothing behind.
 *
 * What passes by itself (a full server, one that can't save) is warned of: the application may start, and its health says
 * that it is down. So is a server that drops keys when it is full.
 *
 * @throws SessionOptionsError that says what is wrong with the server, the user or the URL, and what to write
 */
export async function lookAtGround(link: RedisLink, prefix: string): Promise<void> {
  const logger = new Logger('Session');
  try {
    await link.start();
    await link.checkDatabase();
    await link.pingToWrite();
    await tryCommands(link, prefix);
  } catch (error) {
    const refusal = refusalOf(error);
    if (!refusal || refusal.isMistake) await link.drop(); // a start that failed shall not keep the process alive
    if (!refusal) throw error;
    if (refusal.isMistake) throw new SessionOptionsError([wordsFor(refusal, link.keyPrefix + prefix)]);
    logger.warn(`${refusal.message} The application starts all the same.`);
  }
  const policy = await link.askForEviction();
  if (policy !== undefined)
    logger.warn(
      `Redis drops keys when it is full (maxmemory-policy ${policy}), and so sessions: visitors are logged out. Set \`maxmemory-policy noeviction\`, and give caches a server of their own.`,
    );
}

/** @throws RedisRefusal */
async function tryCommands(link: RedisLink, prefix: string): Promise<void> {
  const sessions: [string, ...string[]] = [prefix + NO_SESSION];
  if (!link.isCluster) sessions.push(prefix + NO_OTHER_SESSION);
  const trials: [Script, [string, ...string[]]][] = [
    [TRY_SESSION, sessions],
    [TRY_INDEX, [prefix + NO_USER]],
  ];
  const refused = new Set<string>();
  for (const [script, keys] of trials) {
    const answer = ((await link.run(script, keys, [])) as unknown[]).map(String);
    for (let i = 0; i < answer.length; i += 2) {
      const [command = '', message = ''] = answer.slice(i, i + 2);
      const error = new Error(message);
      const refusal = refusalOf(error);
      const isRefused = refusal instanceof RedisNoPermission || /unknown .*command/i.test(message);
      if (!isRefused) rethrow(error);
      if (refusal instanceof RedisNoPermission && refusal.refused.length === 0) throw refusal;
      refused.add(command.toLowerCase());
    }
  }
  if (refused.size > 0) throw new RedisNoPermission([...refused]);
}

function wordsFor(refusal: RedisRefusal, prefix: string): string {
  const areKeys = refusal instanceof RedisNoPermission && refusal.refused.length === 0;
  const { message } = areKeys ? new RedisNoPermission([], `~${prefix}*`) : refusal;
  return `RedisSessionStore: ${message}`;
}
