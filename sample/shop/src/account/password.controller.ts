import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { Authenticated, CurrentUser, Session, SessionAuth } from 'nest-session';
import { newPassword } from '../forms/fields.js';
import { orShowAgain, readForm } from '../forms/form.js';
import { Page, ThenShow } from '../pages/page.decorators.js';
import { User } from '../users/user.entity.js';
import { Users } from '../users/users.js';

/** Asks for no old password, but for a login that is no older than ten minutes: who is that late, confirms it first. */
@Controller('account/password')
@Authenticated({ within: '10m' })
export class PasswordController {
  constructor(
    private readonly auth: SessionAuth<User>,
    private readonly users: Users,
  ) {}

  @Get()
  @Page('password')
  show(@CurrentUser() { email }: User) {
    return { email };
  }

  @Post()
  @HttpCode(200)
  @ThenShow('/account')
  change(@Session() session: Session, @CurrentUser() user: User, @Body() body: unknown) {
    const again = () => ({ email: user.email });
    return orShowAgain('password', again, () => this.#change(session, user, body));
  }

  async #change(session: Session, user: User, body: unknown): Promise<void> {
    const { password } = readForm(body, { password: newPassword });
    const changed = await this.users.changePassword(user, password);
    await this.auth.refresh(session, changed); // this device stays, all others are out
    session.flash('notice', 'Your password is changed, and all your other devices are logged out.');
  }
}
