import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { NotAuthenticatedException, Session, SessionAuth } from 'nest-session';
import { nextPage, oneTimeCode } from '../forms/fields.js';
import { orShowAgain, readForm } from '../forms/form.js';
import { Mistake } from '../mistake.js';
import { Page, ThenShow } from '../pages/page.decorators.js';
import type { User } from '../users/user.entity.js';
import { OneTimeCodes } from './one-time-codes.js';

/** The second step of a login: the password was right, and until the code is there too, nobody is logged in. */
@Controller('login/code')
export class CodeController {
  constructor(
    private readonly auth: SessionAuth<User>,
    private readonly codes: OneTimeCodes,
  ) {}

  @Get()
  @Page('code')
  async show(@Session() session: Session, @Query('next') next: unknown) {
    await this.#waiting(session, next);
    return { next: nextPage(next) };
  }

  @Post()
  @HttpCode(200)
  @ThenShow('next')
  complete(@Session() session: Session, @Body() body: Record<string, unknown> = {}) {
    const again = () => ({ next: nextPage(body.next) });
    return orShowAgain('code', again, () => this.#complete(session, body));
  }

  async #complete(session: Session, body: Record<string, unknown>) {
    const user = await this.#waiting(session, body.next);
    const { code, next } = readForm(body, { code: oneTimeCode, next: nextPage });
    if (!(await this.codes.accept(user, code)))
      throw new Mistake(401, 'That code is not right, or not any more. Please try the next one.');
    await this.auth.login(session, user, { methods: ['otp'], level: 2 }); // `remember` is as the first step said
    session.flash('notice', `Good to have you back, ${user.name}.`);
    return { next };
  }

  /** @throws NotAuthenticatedException when nobody has given a password, or too long ago */
  async #waiting(session: Session, next: unknown): Promise<User> {
    const user = await this.auth.pendingUser(session);
    if (user) return user;
    const query = new URLSearchParams({ next: nextPage(next), reason: 'too-late' });
    throw new NotAuthenticatedException(`/login?${query.toString()}`);
  }
}
