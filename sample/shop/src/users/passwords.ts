import { randomUUID } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';

/** Passwords as Argon2id hashes, with the parameters that OWASP advises. */
@Injectable()
export class Passwords implements OnModuleInit {
  #nobodys = '';

  async onModuleInit(): Promise<void> {
    this.#nobodys = await hash(randomUUID());
  }

  hash(password: string): Promise<string> {
    return hash(password);
  }

  /** @param stored undefined for an unknown user, which takes as long: nobody learns from the time who has an account */
  async match(stored: string | undefined, password: string): Promise<boolean> {
    const isRight = await verify(stored ?? this.#nobodys, password);
    return isRight && stored !== undefined;
  }
}
