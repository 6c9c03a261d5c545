import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ShopConfig } from '../config.js';
import { Mistake } from '../mistake.js';
import { Users } from './users.js';

export interface SeededUser {
  readonly name: string;
  readonly email: string;
  readonly password: string;
}

const SEEDED: readonly SeededUser[] = [
  { name: 'Ada', email: 'ada@example.com', password: 'tea-for-two-please' },
  { name: 'Grace', email: 'grace@example.com', password: 'one-lump-or-two' },
];

/** Two users to try the shop with. Everybody knows their passwords, so that production has none of them. */
@Injectable()
export class SeededUsers implements OnApplicationBootstrap {
  readonly list: readonly SeededUser[];

  constructor(
    { isDevelopment }: ShopConfig,
    private readonly users: Users,
  ) {
    this.list = isDevelopment ? SEEDED : [];
  }

  async onApplicationBootstrap(): Promise<void> {
    await Promise.all(this.list.map((each) => this.#seed(each)));
  }

  async #seed({ email, name, password }: SeededUser): Promise<void> {
    if (await this.users.has(email)) return;
    try {
      await this.users.register(email, name, password);
    } catch (error) {
      if (!(error instanceof Mistake)) throw error; // another process was faster
    }
  }
}
