import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { SessionUserProvider } from 'nest-session';
import { LessThan, Repository } from 'typeorm';
import { Mistake } from '../mistake.js';
import { Passwords } from './passwords.js';
import { User } from './user.entity.js';

/** What the framework asks of users, and what the shop's forms do to them. */
@Injectable()
export class Users implements SessionUserProvider<User> {
  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly passwords: Passwords,
  ) {}

  findById(id: string): Promise<User | null> {
    return this.users.findOneBy({ id });
  }

  idOf({ id }: User): string {
    return id;
  }

  /** Who changes one of the factors ends all logins that were made with the old ones. */
  authHash({ passwordHash, totpSecret }: User): string {
    return totpSecret ? `${passwordHash} ${totpSecret}` : passwordHash;
  }

  has(email: string): Promise<boolean> {
    return this.users.existsBy({ email });
  }

  async withPassword(email: string, password: string): Promise<User | undefined> {
    const user = await this.users.findOneBy({ email });
    const isRight = await this.passwords.match(user?.passwordHash, password);
    return user && isRight ? user : undefined;
  }

  hasPassword(user: User, password: string): Promise<boolean> {
    return this.passwords.match(user.passwordHash, password);
  }

  async register(email: string, name: string, password: string): Promise<User> {
    const id = randomUUID();
    const passwordHash = await this.passwords.hash(password);
    try {
      await this.users.insert({ id, email, name, passwordHash });
    } catch (error) {
      // The index decides, because two may register the same address at once.
      throw (await this.has(email)) ? new Mistake(409, 'That address has an account already.') : error;
    }
    return this.users.findOneByOrFail({ id });
  }

  /** @returns the user as they are now */
  async changePassword(user: User, password: string): Promise<User> {
    const passwordHash = await this.passwords.hash(password);
    await this.users.update({ id: user.id }, { passwordHash });
    return { ...user, passwordHash };
  }

  /** @returns the user as they are now */
  async changeTotpSecret(user: User, totpSecret: string | null): Promise<User> {
    await this.users.update({ id: user.id }, { totpSecret });
    return { ...user, totpSecret };
  }

  /** @returns false when the code of this half minute, or a later one, was used already; of two at once, one wins */
  async useCode({ id }: User, step: number): Promise<boolean> {
    const { affected } = await this.users.update(
      { id, lastCodeStep: LessThan(step) },
      { lastCodeStep: step },
    );
    return affected === 1;
  }
}
