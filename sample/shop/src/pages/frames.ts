import { Injectable } from '@nestjs/common';
import { type Session, SessionAuth } from 'nest-session';
import { countOf } from '../cart/cart.service.js';
import type { Theme } from '../session-data.js';
import type { User } from '../users/user.entity.js';

/** What is around each page: who is logged in, theme, cart in the menu, and notices, each of which is shown once. */
export interface Frame {
  readonly user?: Pick<User, 'name' | 'email'>;
  readonly theme: Theme;
  readonly cartCount: number;
  readonly notices?: readonly string[];
}

@Injectable()
export class Frames {
  constructor(private readonly auth: SessionAuth<User>) {}

  async of(session: Session): Promise<Frame> {
    return { ...(await this.quietOf(session)), notices: session.takeFlash<string>('notice') };
  }

  /** Without the notices: those wait for a page where they belong. */
  async quietOf(session: Session): Promise<Frame> {
    const user = await this.auth.user(session); // first: a login that is over ends the session
    return {
      user: user && { name: user.name, email: user.email },
      theme: session.get('theme') ?? 'auto',
      cartCount: countOf(session.get('cart')),
    };
  }
}
