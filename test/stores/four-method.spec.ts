import { setImmediate as turn } from 'node:timers/promises';
import {
  applyChange,
  type SessionChange,
  type SessionClock,
  type SessionRecord,
  SessionStore,
} from 'nest-session';
import { describeSessionStore } from 'nest-session/testing';

/** The least that a store of one's own can be: four methods over a service that can only get, set and delete. */
class FourMethodStore extends SessionStore {
  readonly #service = new Map<string, string>();

  constructor(private readonly clock: SessionClock) {
    super();
  }

  async load(key: string): Promise<SessionRecord | undefined> {
    await turn();
    const text = this.#service.get(key);
    const record = text === undefined ? undefined : (JSON.parse(text) as SessionRecord);
    return record && record.expiresAt > this.clock.now() ? record : undefined;
  }

  async create(key: string, record: SessionRecord): Promise<boolean> {
    if (await this.load(key)) return false;
    this.#service.set(key, JSON.stringify(record));
    return true;
  }

  async save(key: string, change: SessionChange): Promise<boolean> {
    const record = await this.load(key);
    if (!record) return false;
    this.#service.set(key, JSON.stringify(applyChange(record, change)));
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const isThere = (await this.load(key)) !== undefined;
    this.#service.delete(key);
    return isThere;
  }
}

describeSessionStore('a store of four methods', async ({ clock }) => new FourMethodStore(clock), {
  lacks: ['parallel-changes', 'parallel-ends', 'tombstones', 'users', 'count', 'cleaning'],
});
