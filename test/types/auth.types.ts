// Compiled by `npm run typecheck` and never run: each wrong use has to stay an error.
import { Controller, Get, Post } from '@nestjs/common';
import {
  Authenticated,
  CurrentUser,
  MemorySessionStore,
  Public,
  Session,
  SessionAuth,
  SessionModule,
  type SessionUserProvider,
} from 'nest-session';

interface User {
  readonly id: number;
  readonly email: string;
}

export class Users implements SessionUserProvider<User> {
  async findById(id: string): Promise<User | null> {
    return { id: Number(id), email: '' };
  }
  idOf({ id }: User): number {
    return id;
  }
}

// @ts-expect-error a provider has to tell ids
export class Incomplete implements SessionUserProvider<User> {
  findById(): undefined {
    return undefined;
  }
}

@Controller()
@Authenticated({ within: '10m' })
export class AccountController {
  constructor(private readonly auth: SessionAuth<User>) {}

  @Post('login')
  @Public()
  async login(@Session() session: Session<{ cart: string[] }>, user: User): Promise<void> {
    await this.auth.login(session, user, { remember: true, methods: ['pwd'], level: 2 });
    const form: { remember?: string } = {};
    await this.auth.login(session, user, { remember: form.remember });
    // @ts-expect-error a box is ticked or not
    await this.auth.login(session, user, { remember: 1 });
    // @ts-expect-error the user is the application's own
    await this.auth.login(session, { id: 1 });
    // @ts-expect-error an option that is none
    await this.auth.login(session, user, { forever: true });
    // @ts-expect-error a Date, as everywhere in JavaScript
    await this.auth.login(session, user, { authenticatedAt: 1 });
    // @ts-expect-error only a login sets it
    session.userId = '1';
    const found: User | undefined = await this.auth.user(session);
    // @ts-expect-error nobody may be logged in
    void found.email;
  }

  @Get()
  @Authenticated({ level: 2 })
  account(@CurrentUser() user: User, @CurrentUser('email') email: string): string {
    return user.email + email;
  }

  // @ts-expect-error an option that is none
  @Authenticated({ role: 'admin' })
  admin(): void {}
}

const common = { store: MemorySessionStore, secret: 'a secret' };
SessionModule.forRoot({ ...common, auth: { users: Users, maxSessions: { limit: 3, onExceed: 'refuse' } } });
SessionModule.forRoot({ ...common, auth: { users: { useExisting: Users } } });
// @ts-expect-error users are missing
SessionModule.forRoot({ ...common, auth: { loginUrl: '/login' } });
// @ts-expect-error no way to go on when there are too many
SessionModule.forRoot({ ...common, auth: { users: Users, maxSessions: { limit: 3 } } });
