import type { EpochMs, SessionClock } from '../../core/clock.js';
import { pause } from '../../core/pause.js';
import {
  RECORD_FORMAT,
  type SessionChange,
  type SessionRecord,
  type SessionTouch,
  type Successor,
} from '../../core/record.js';
import { largestValues } from '../../core/value-sizes.js';
import { SessionTooLargeError } from '../../errors.js';
import type { DeleteByUserOptions, FindByUserOptions, RenameOutcome } from '../session-store.js';
import { blockerOf, giveUp, markOf, renameInCluster, type RenameSteps } from './cluster-rename.js';
import { lookAtGround } from './ground.js';
import { inPages } from './pages.js';
import type { RedisClient } from './redis-client.js';
import { RedisLink } from './redis-link.js';
import { fieldMap, isNo, isYes, newerFormat } from './replies.js';
import type { Script } from './script.js';
import {
  BLOCK,
  CREATE,
  DELETE,
  FINISH,
  MARK,
  MEND,
  READ,
  RENAME,
  REVIVE,
  SAVE,
  SLACK_MS,
  SWAP,
  TOUCH,
} from './scripts.js';
import {
  fieldsOf,
  handleText,
  metaOf,
  readHash,
  readMeta,
  type StoredHash,
  unreadableSession,
  userField,
  valueField,
  valueFieldsOf,
  writeSuccessor,
  writeTime,
} from './session-hash.js';
import { readText, writeText } from '../stored-text.js';
import { UserIndex } from './user-index.js';

/** A session's key in Redis is the prefix and this. */
const SESSION_KEY = /^[0-9a-f]{64}$/;

/** So often, and so long apart, somebody looks for a rename's end: it takes three commands. */
const MOVE_TRIES = 10;
const MOVE_PAUSE_MS = 10;

/** Sessions in Redis, command by command: what the store is made of. */
export class RedisSessions implements RenameSteps {
  readonly #link: RedisLink;
  readonly #index: UserIndex;

  constructor(
    source: RedisClient | string,
    private readonly prefix: string,
    private readonly clock: SessionClock,
  ) {
    this.#link = new RedisLink(source);
    this.#index = new UserIndex(this.#link, prefix);
  }

  /** @throws SessionOptionsError when the server is there, and can't be used as it is */
  start(): Promise<void> {
    return lookAtGround(this.#link, this.prefix);
  }

  /**
   * What stands under a key, over or not: a session, or a tombstone. In a cluster a rename that is under way is waited for
   * a little, and one that broke off is given up first.
   */
  async read(key: string): Promise<StoredHash | undefined> {
    let found = await this.#read(key);
    const now = this.clock.now();
    for (let tries = 0; found?.moving && found.moving.until > now && tries < MOVE_TRIES; tries++) {
      await pause(MOVE_PAUSE_MS);
      found = await this.#read(key);
    }
    if (!found?.moving || found.moving.until > now) return found;
    await giveUp(this, key, found.moving.newKey, found.record, now);
    return this.#read(key);
  }

  async create(key: string, record: SessionRecord): Promise<boolean> {
    const created = await this.copy(key, record);
    if (!created || !this.#link.isCluster) return created;
    try {
      await this.track(key, record);
    } catch (error) {
      await this.end(key, undefined).catch(() => undefined); // nobody shall have a session that can't be revoked
      throw error;
    }
    return true;
  }

  async save(key: string, change: SessionChange): Promise<boolean> {
    const answer = await this.#change(SAVE, key, this.#argsOf(change));
    refuseExcess(answer, change);
    return isYes(answer);
  }

  async touch(key: string, { lastSeenAt, expiresAt, basedOn }: SessionTouch): Promise<boolean> {
    const args = [
      writeTime(lastSeenAt),
      writeTime(expiresAt),
      this.#timeToLive(expiresAt),
      writeText(basedOn),
    ];
    return isYes(await this.#change(TOUCH, key, args));
  }

  async rename(
    key: string,
    newKey: string,
    change: SessionChange,
    tombstoneUntil: EpochMs | undefined,
  ): Promise<RenameOutcome> {
    await this.#link.start();
    if (this.#link.isCluster)
      return renameInCluster(this, { key, newKey }, change, tombstoneUntil, this.clock.now());
    const successor = { key: newKey, trail: change.trail };
    const tombstone = [...this.#tombstoneArgs(tombstoneUntil), writeSuccessor(successor)];
    const args = [newKey, ...tombstone, ...this.#argsOf(change)];
    const answer = await this.#change(RENAME, key, args, newKey);
    refuseExcess(answer, change);
    if (isYes(answer)) return 'renamed';
    return isNo(answer) ? 'gone' : 'taken';
  }

  /** Ends a living session. */
  async end(key: string, tombstoneUntil: EpochMs | undefined): Promise<boolean> {
    return (await this.#end(key, [...this.#tombstoneArgs(tombstoneUntil), '0', ''])) === 'ended';
  }

  /**
   * Ends a session that the index of a user names, and takes it out of there; in a cluster one that is being renamed too, and
   * then under both keys.
   *
   * @param exceptHandle `spared`: it has this handle, and stays
   */
  async revoke(
    userId: string,
    key: string,
    { exceptHandle, tombstoneUntil }: DeleteByUserOptions,
  ): Promise<'ended' | 'spared' | 'none'> {
    const spared = exceptHandle === undefined ? '' : handleText(exceptHandle);
    const outcome = await this.#end(key, [...this.#tombstoneArgs(tombstoneUntil), '1', spared]);
    if (outcome !== 'spared') await this.#index.remove(userId, key);
    return outcome;
  }

  /**
   * A living session with one value, which is all that an atomic update needs.
   *
   * @throws SessionFormatException
   */
  async readValue(key: string, name: string): Promise<SessionRecord | undefined> {
    const field = valueField(name);
    const reply = await this.#link.read(this.prefix + key, 'hmget', this.prefix + key, 'm', field);
    const [meta, stored] = reply as (string | null)[];
    const read = readMeta(meta);
    if (!read && (await this.#mend(key))) return this.readValue(key, name);
    if (!read || read.isMoving || read.record.gone || read.record.expiresAt <= this.clock.now())
      return undefined;
    if (read.record.format > RECORD_FORMAT) throw newerFormat(meta);
    return withValue(read.record, name, stored ?? undefined);
  }

  /**
   * Writes a value if it is still what the caller has.
   *
   * @param record as {@link readValue} gave it
   * @returns 'swapped'; or the record with the value that is stored now; undefined when the session is gone
   */
  async swap(
    key: string,
    name: string,
    record: SessionRecord,
    text: string | undefined,
  ): Promise<'swapped' | SessionRecord | undefined> {
    const had = Object.hasOwn(record.values, name) ? record.values[name] : undefined;
    const answer = await this.#change(SWAP, key, [valueField(name), ...swapArgs(had), ...swapArgs(text)]);
    if (isYes(answer)) return 'swapped';
    if (!Array.isArray(answer)) return undefined;
    return withValue(record, name, (answer as (string | null | undefined)[])[0] ?? undefined);
  }

  /** All keys that the index of a user names, those of dead sessions too. */
  keysOfUser(userId: string): Promise<string[]> {
    return this.#index.read(userId, this.clock.now());
  }

  /** The living sessions of a user. What else the index names leaves it. */
  async ofUser(
    userId: string,
    { handle, values }: FindByUserOptions,
  ): Promise<{ key: string; record: SessionRecord }[]> {
    // For one of many, all are asked who they are, and that one for its values.
    const names = handle === undefined ? values : [];
    const read = (key: string) => (names ? this.#readSome(key, names) : this.read(key));
    const keys = await this.keysOfUser(userId);
    const found = await inPages(keys, async (key) => ({ key, hash: await read(key) }));
    const now = this.clock.now();
    const living: { key: string; record: SessionRecord }[] = [];
    const dead: string[] = [];
    for (const { key, hash } of found) {
      if (hash?.moving) continue; // in a moment it is under another key, or back
      const { record } = hash ?? {};
      const isLiving = record && !record.gone && record.expiresAt > now && record.userId === userId;
      if (isLiving) living.push({ key, record });
      else dead.push(key);
    }
    await this.#index.repair(userId, now, dead);
    if (handle === undefined) return living;
    const named = living.find(({ record }) => record.handle === handle);
    if (!named || values?.length === 0) return named ? [named] : [];
    const whole = await (values ? this.#readSome(named.key, values) : this.read(named.key));
    const isThere = whole?.record.handle === handle && !whole.record.gone;
    return isThere ? [{ key: named.key, record: whole.record }] : [];
  }

  /** What stands under a key, with some of its values alone. */
  async #readSome(key: string, names: readonly string[]): Promise<StoredHash | undefined> {
    const fields = ['m', 'p', 'u', 'h', 'n', 's', ...names.map(valueField)];
    const reply = await this.#link.read(this.prefix + key, 'hmget', this.prefix + key, ...fields);
    const stored = new Map<string, string>();
    for (const [index, text] of (reply as (string | null)[]).entries())
      if (typeof text === 'string') stored.set(fields[index], text);
    return readHash(stored);
  }

  async count(): Promise<number> {
    const seen = new Set<number>();
    let count = 0;
    for await (const found of this.#link.keys(this.prefix)) {
      const keys = found.map((key) => key.slice(this.prefix.length));
      const fresh = keys.filter((key) => SESSION_KEY.test(key) && isFirst(seen, key));
      const living = await inPages(fresh, (key) => this.#isLiving(key));
      count += living.filter(Boolean).length;
    }
    return count;
  }

  /** Whether the server is there. */
  ping(): Promise<void> {
    return this.#link.ping();
  }

  /** Whether the server would take a write; nothing is written. */
  pingToWrite(): Promise<void> {
    return this.#link.pingToWrite();
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  // The steps of a rename in a cluster.

  async mark(key: string, newKey: string, givenUpAt: EpochMs): Promise<SessionRecord | undefined> {
    const answer = await this.#change(MARK, key, [markOf(newKey, givenUpAt)]);
    return isNo(answer) ? undefined : readHash(fieldMap(answer))?.record;
  }

  async copy(key: string, record: SessionRecord): Promise<boolean> {
    const { expiresAt, userId } = record;
    const user = userId === undefined ? '' : `=${userField(userId)}`;
    const args = [writeTime(expiresAt), this.#timeToLive(expiresAt), user, ...fieldsOf(record)];
    return isYes(await this.#run(CREATE, key, args));
  }

  async track(key: string, { userId, absoluteExpiresAt }: SessionRecord): Promise<void> {
    if (userId !== undefined) await this.#index.add(userId, key, absoluteExpiresAt, this.clock.now());
  }

  async untrack(key: string, { userId }: SessionRecord): Promise<void> {
    if (userId !== undefined) await this.#index.remove(userId, key);
  }

  async finish(key: string, successor: Successor, tombstoneUntil: EpochMs | undefined): Promise<boolean> {
    const args = [successor.key, ...this.#tombstoneArgs(tombstoneUntil), writeSuccessor(successor)];
    return isYes(await this.#run(FINISH, key, args));
  }

  async revive(key: string, newKey: string): Promise<boolean> {
    return isYes(await this.#run(REVIVE, key, [newKey]));
  }

  async block(newKey: string, tombstone: SessionRecord): Promise<void> {
    await this.#run(BLOCK, newKey, [metaOf(tombstone), this.#timeToLive(tombstone.expiresAt)]);
  }

  async #end(key: string, args: readonly string[]): Promise<'ended' | 'spared' | 'none'> {
    const answer = await this.#change(DELETE, key, args);
    if (isNo(answer)) return 'none';
    if (!Array.isArray(answer)) return 'spared';
    const [user = '', newKey = '', meta] = answer as string[];
    const record = readMeta(meta)?.record;
    if (newKey !== '' && record) await this.block(newKey, blockerOf(record, this.clock.now()));
    if (this.#link.isCluster && user !== '') {
      const userId = readText(user.slice(1)) ?? '';
      await this.#index.remove(userId, key).catch(() => undefined); // it has ended; an index is repaired when it is read
    }
    return 'ended';
  }

  async #read(key: string): Promise<StoredHash | undefined> {
    const fields = fieldMap(await this.#readFields(key));
    const found = readHash(fields);
    if (!found) return fields.size === 0 ? undefined : { record: unreadableSession(key, this.clock.now()) };
    const { gone, userId } = found.record;
    const isNamedElsewhere = this.#link.isCluster && this.#link.mayEvict && !gone && userId !== undefined;
    return isNamedElsewhere && !(await this.#index.names(userId, key)) ? undefined : found;
  }

  /** One command. Where nothing is evicted the index names what lives, and need not be asked. */
  async #readFields(key: string): Promise<unknown> {
    if (this.#link.mayEvict === undefined) await this.#link.askForEviction();
    const name = this.prefix + key;
    if (!this.#link.mayEvict || this.#link.isCluster) return this.#link.read(name, 'hgetall', name);
    const args = [this.#link.keyPrefix + this.#index.prefix, key, String(RECORD_FORMAT)];
    return this.#link.run(READ, [name], args, true);
  }

  async #isLiving(key: string): Promise<boolean> {
    const meta = (await this.#link.ask(this.prefix + key, 'hget', this.prefix + key, 'm')) as string | null;
    const record = readMeta(meta)?.record;
    return record !== undefined && !record.gone && record.expiresAt > this.clock.now();
  }

  /** Runs a script that needs a living session; one that can't be read is replaced by an empty one first. */
  async #change(script: Script, key: string, args: readonly string[], newKey?: string): Promise<unknown> {
    const answer = await this.#run(script, key, args, newKey);
    if (!isNo(answer) || !(await this.#mend(key))) return answer;
    return this.#run(script, key, args, newKey);
  }

  /** @returns false when there is nothing to mend */
  async #mend(key: string): Promise<boolean> {
    const fields = fieldMap(await this.#link.read(this.prefix + key, 'hgetall', this.prefix + key));
    const meta = fields.get('m');
    if (fields.size === 0 || readMeta(meta)) return false;
    const record = unreadableSession(key, this.clock.now());
    const args = [meta ?? '', this.#timeToLive(record.expiresAt), ...fieldsOf(record)];
    return isYes(await this.#run(MEND, key, args));
  }

  /** @throws SessionFormatException when the script met a session of a newer format */
  async #run(script: Script, key: string, args: readonly string[], newKey?: string): Promise<unknown> {
    if (!this.#link.isReady) await this.#link.start(); // only then it is known whether it is a cluster
    const keys: [string, ...string[]] = [this.prefix + key];
    if (newKey !== undefined) keys.push(this.prefix + newKey);
    const indexes = this.#link.isCluster ? '' : this.#link.keyPrefix + this.#index.prefix;
    const common = [writeTime(this.clock.now()), String(RECORD_FORMAT), indexes, key];
    const answer = await this.#link.run(script, keys, [...common, ...args]);
    if (typeof answer === 'string' && answer.includes('.')) throw newerFormat(answer);
    return answer;
  }

  #argsOf(change: SessionChange): string[] {
    const { lastSeenAt, expiresAt, basedOn, policy, cleared, authentication, maxSize, removed, set } = change;
    return [
      writeTime(lastSeenAt),
      writeTime(expiresAt),
      this.#timeToLive(expiresAt),
      writeText(basedOn),
      policy === undefined ? '' : `=${writeText(policy)}`,
      cleared ? '1' : '0',
      authentication ? `=${userField(authentication.userId)}` : '',
      authentication ? writeTime(authentication.absoluteExpiresAt) : '',
      maxSize === undefined ? '' : String(maxSize),
      String(removed.length),
      ...removed.map(valueField),
      ...valueFieldsOf(set),
    ];
  }

  #tombstoneArgs(until: EpochMs | undefined): string[] {
    return until === undefined ? ['', ''] : [writeTime(until), this.#timeToLive(until)];
  }

  #timeToLive(until: EpochMs): string {
    return String(Math.max(1, Math.ceil(until - this.clock.now() + SLACK_MS)));
  }
}

/** @throws SessionTooLargeError when a script has found that the values would take too much */
function refuseExcess(answer: unknown, { set, maxSize = 0 }: SessionChange): void {
  if (!Array.isArray(answer) || answer[0] !== 'large') return;
  throw new SessionTooLargeError(Number(answer[1]), maxSize, largestValues(set));
}

function withValue(record: SessionRecord, name: string, stored: string | undefined): SessionRecord {
  const text = stored === undefined ? undefined : readText(stored);
  const values: Record<string, string> = { __proto__: null } as never;
  if (text !== undefined) values[name] = text;
  return { ...record, values };
}

function swapArgs(text: string | undefined): [string, string] {
  return text === undefined ? ['0', ''] : ['1', writeText(text)];
}

/** SCAN may tell a key twice. Half of a key's digits are as good as all, and a tenth of the memory. */
function isFirst(seen: Set<number>, key: string): boolean {
  const short = Number.parseInt(key.slice(0, 13), 16);
  return seen.size < seen.add(short).size;
}
