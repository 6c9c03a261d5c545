import { setImmediate as turn } from 'node:timers/promises';
import {
  applyChange,
  type SessionChange,
  type SessionClock,
  type SessionRecord,
  SessionStore,
} from 'nest-session';
import { describeSessionStore } from 'nest-session/testing';

/** A service on the network that can get, set and delete, each some time after it was asked. */
class KeyValueService {
  readonly #texts = new Map<string, string>();

  async get(key: string): Promise<string | undefined> {
    await turn();
    return this.#texts.get(key);
  }

  async set(key: string, text: string): Promise<void> {
    await turn();
    this.#texts.set(key, text);
  }

  async delete(key: string): Promise<void> {
    await turn();
    this.#texts.delete(key);
  }
}

/** The least that a store of one's own can be. Between its get and its set others get and set. */
class FourMethodStore extends SessionStore {
  readonly #service = new KeyValueService();

  constructor(private readonly clock: SessionClock) {
    super();
  }

  async load(key: string): Promise<SessionRecord | undefined> {
    const text = await this.#service.get(key);
    const record = text === undefined ? undefined : (JSON.parse(text) as SessionRecord);
    return record && record.expiresAt > this.clock.now() ? record : undefined;
  }

  async create(key: string, record: SessionRecord): Promise<boolean> {
    if (await this.load(key)) return false;
    await this.#service.set(key, JSON.stringify(record));
    return true;
  }

  async save(key: string, change: SessionChange): Promise<boolean> {
    const record = await this.load(key);
    if (!record) return false;
    await this.#service.set(key, JSON.stringify(applyChange(record, change)));
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const isThere = (await this.load(key)) !== undefined;
    await this.#service.delete(key);
    return isThere;
  }
}

describeSessionStore('a store of four methods', async ({ clock }) => new FourMethodStore(clock), {
  lacks: ['parallel-changes', 'parallel-ends', 'tombstones', 'users', 'count', 'cleaning'],
});

class ExpiringStore extends FourMethodStore {
  override readonly expiresByItself = true;
}

describeSessionStore('one whose service expires by itself', async ({ clock }) => new ExpiringStore(clock), {
  lacks: ['parallel-changes', 'parallel-ends', 'tombstones', 'users', 'count'],
  expiresByItself: true,
});
