import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { Session, SessionAuth } from 'nest-session';
import { emailAddress, newPassword, nextPage, personName, textOf } from '../forms/fields.js';
import { orShowAgain, readForm } from '../forms/form.js';
import { Page, ThenShow } from '../pages/page.decorators.js';
import type { User } from '../users/user.entity.js';
import { Users } from '../users/users.js';

@Controller('register')
export class RegisterController {
  constructor(
    private readonly auth: SessionAuth<User>,
    private readonly users: Users,
  ) {}

  @Get()
  @Page('register')
  show(@Query('next') next: unknown) {
    return { next: nextPage(next) };
  }

  /** Whoever registers is logged in, and keeps the cart that they came with. */
  @Post()
  @HttpCode(200)
  @ThenShow('next')
  register(@Session() session: Session, @Body() body: Record<string, unknown> = {}) {
    const again = () => ({ next: nextPage(body.next), name: textOf(body.name), email: textOf(body.email) });
    return orShowAgain('register', again, () => this.#register(session, body));
  }

  async #register(session: Session, body: unknown) {
    const fields = { email: emailAddress, name: personName, password: newPassword, next: nextPage };
    const { email, name, password, next } = readForm(body, fields);
    const user = await this.users.register(email, name, password);
    await this.auth.login(session, user, { methods: ['pwd'] });
    session.flash('notice', `Welcome, ${user.name}. The kettle is on.`);
    return { next };
  }
}
