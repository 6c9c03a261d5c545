import { Injectable } from '@nestjs/common';
import { SessionClock } from 'nest-session';
import { Secret, TOTP } from 'otpauth';
import type { User } from '../users/user.entity.js';
import { Users } from '../users/users.js';

/** Codes of six digits that an app shows, another one each half minute (TOTP, RFC 6238). */
@Injectable()
export class OneTimeCodes {
  constructor(
    private readonly users: Users,
    private readonly clock: SessionClock,
  ) {}

  /** In base32, 160 bits. */
  newSecret(): string {
    return new Secret({ size: 20 }).base32;
  }

  /** The link that apps take, or show as a QR code: otpauth://totp/… */
  linkOf(secret: string, { email }: User): string {
    return totpOf(secret, email).toString();
  }

  /**
   * Uses up the code of a user.
   *
   * @param secret the user's own, or the one that is about to become theirs
   * @returns false for a wrong one, and for one that was used before
   */
  async accept(user: User, code: string, secret = user.totpSecret): Promise<boolean> {
    if (!secret) return false;
    const totp = totpOf(secret, user.email);
    const timestamp = this.clock.now();
    const delta = totp.validate({ token: code, timestamp, window: 1 }); // clocks of telephones go wrong
    return delta !== null && this.users.useCode(user, totp.counter({ timestamp }) + delta);
  }
}

function totpOf(secret: string, label: string): TOTP {
  return new TOTP({ issuer: 'Leaf & Kettle', label, secret });
}
