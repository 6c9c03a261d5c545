import { setTimeout as delay } from 'node:timers/promises';
import {
  type DeleteExpiredOptions,
  MemorySessionStore,
  SessionStore,
  type SessionRecord,
} from 'nest-session';
import { aRecord, newKey } from 'nest-session/testing';

/** The least that a store can be. */
export class FourMethodStore extends SessionStore {
  async load(): Promise<undefined> {}

  async create(): Promise<boolean> {
    return true;
  }

  async save(): Promise<boolean> {
    return false;
  }

  async delete(): Promise<boolean> {
    return false;
  }
}

export class ExpiringStore extends FourMethodStore {
  override readonly expiresByItself = true;
}

/** What a driver may put into its message. */
export const SECRET_OF_A_DRIVER = `the value 'of a visitor' under ${'0123456789abcdef'.repeat(4)}`;

export class FailingStore extends FourMethodStore {
  override count(): Promise<never> {
    return this.#fail();
  }

  override findByUser(): Promise<never> {
    return this.#fail();
  }

  override deleteExpired(): Promise<never> {
    return this.#fail();
  }

  async #fail(): Promise<never> {
    throw Object.assign(new Error(`connection lost: ${SECRET_OF_A_DRIVER}`), {
      parameters: SECRET_OF_A_DRIVER,
    });
  }
}

/** Never comes to the end of its second batch. */
export class StuckStore extends FourMethodStore {
  override async deleteExpired({ onProgress }: DeleteExpiredOptions = {}): Promise<number> {
    onProgress?.(1_000);
    process.stderr.write('stuck\n');
    await delay(3_600_000);
    return 1_000;
  }
}

/** A session that gets a new id whenever somebody has looked at it, as in a login at the same moment. */
export class RestlessStore extends MemorySessionStore {
  #looks = 0;
  readonly #record: SessionRecord = aRecord({ userId: '7', handle: 'restless' });

  override async findByUser(): Promise<{ key: string; record: SessionRecord }[]> {
    const key = newKey();
    await this.create(key, this.#record);
    if (++this.#looks < 3) await this.delete(key);
    return [{ key, record: this.#record }];
  }
}
