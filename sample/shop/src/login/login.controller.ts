import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { Session, SessionAuth } from 'nest-session';
import { checkbox, emailAddress, nextPage, password, textOf } from '../forms/fields.js';
import { orShowAgain, readForm } from '../forms/form.js';
import { Mistake } from '../mistake.js';
import { Page, ThenShow } from '../pages/page.decorators.js';
import { SeeOther } from '../pages/see-other.js';
import { SeededUsers } from '../users/seeded-users.js';
import type { User } from '../users/user.entity.js';
import { Users } from '../users/users.js';

/** Why somebody is here, by the `reason` of the redirect: whatever a link says, only these texts are shown. */
const REASONS = new Map([
  ['expired', 'Your session has ended, so we do not know you any more. Please log in again.'],
  ['too-late', 'That took a little long. Please begin again.'],
  ['logged-out', 'You are logged out. Come back for another cup.'],
]);

@Controller()
export class LoginController {
  constructor(
    private readonly auth: SessionAuth<User>,
    private readonly users: Users,
    private readonly seeded: SeededUsers,
  ) {}

  @Get('login')
  @Page('login')
  async show(@Session() session: Session, @Query() { next, reason }: Record<string, unknown>) {
    if (await this.auth.user(session)) throw new SeeOther(nextPage(next));
    return this.#page(next, { why: REASONS.get(textOf(reason)) });
  }

  @Post('login')
  @HttpCode(200)
  @ThenShow('next')
  logIn(@Session() session: Session, @Body() body: Record<string, unknown> = {}) {
    const again = () => this.#page(body.next, { email: textOf(body.email) });
    return orShowAgain('login', again, () => this.#logIn(session, body));
  }

  @Post('logout')
  @HttpCode(200)
  @ThenShow('/login?reason=logged-out')
  async logOut(@Session() session: Session) {
    await this.auth.logout(session, { clearSiteData: true });
  }

  async #logIn(session: Session, body: unknown) {
    const form = readForm(body, { email: emailAddress, password, remember: checkbox, next: nextPage });
    const user = await this.users.withPassword(form.email, form.password);
    // The same words whether there is such a user or not.
    if (!user) throw new Mistake(401, 'That address and that password do not go together.');
    const options = { remember: form.remember, methods: ['pwd'] };
    if (user.totpSecret) {
      await this.auth.pending(session, user, options);
      return { next: `/login/code?${new URLSearchParams({ next: form.next }).toString()}` };
    }
    await this.auth.login(session, user, options);
    session.flash('notice', `Good to have you back, ${user.name}.`);
    return { next: form.next };
  }

  #page(next: unknown, more: { why?: string; email?: string }) {
    return { next: nextPage(next), people: this.seeded.list, ...more };
  }
}
