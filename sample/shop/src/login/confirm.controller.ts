import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { Authenticated, CurrentUser, Session, SessionAuth } from 'nest-session';
import { nextPage, password } from '../forms/fields.js';
import { orShowAgain, readForm } from '../forms/form.js';
import { Mistake } from '../mistake.js';
import { Page, ThenShow } from '../pages/page.decorators.js';
import { User } from '../users/user.entity.js';
import { Users } from '../users/users.js';

/** Where `@Authenticated({ within })` sends people whose login is a while ago. */
@Controller('login/confirm')
@Authenticated()
export class ConfirmController {
  constructor(
    private readonly auth: SessionAuth<User>,
    private readonly users: Users,
  ) {}

  @Get()
  @Page('confirm')
  show(@CurrentUser() { email }: User, @Query('next') next: unknown) {
    return { next: nextPage(next), email };
  }

  @Post()
  @HttpCode(200)
  @ThenShow('next')
  confirm(
    @Session() session: Session,
    @CurrentUser() user: User,
    @Body() body: Record<string, unknown> = {},
  ) {
    const again = () => ({ next: nextPage(body.next), email: user.email });
    return orShowAgain('confirm', again, () => this.#confirm(session, user, body));
  }

  async #confirm(session: Session, user: User, body: unknown) {
    const form = readForm(body, { password, next: nextPage });
    if (!(await this.users.hasPassword(user, form.password)))
      throw new Mistake(401, 'That is not your password.');
    await this.auth.confirm(session, { methods: ['pwd'] });
    return { next: form.next };
  }
}
