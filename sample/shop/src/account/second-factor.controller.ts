import { Body, Controller, Delete, Get, HttpCode, Post } from '@nestjs/common';
import { Authenticated, CurrentUser, Session, SessionAuth } from 'nest-session';
import { oneTimeCode } from '../forms/fields.js';
import { orShowAgain, readForm } from '../forms/form.js';
import { OneTimeCodes } from '../login/one-time-codes.js';
import { Mistake } from '../mistake.js';
import { Page, ThenShow } from '../pages/page.decorators.js';
import { User } from '../users/user.entity.js';
import { Users } from '../users/users.js';

/** Switches on and off that a login asks for a code. It changes what a login is worth, and so asks for a recent one. */
@Controller('account/second-factor')
@Authenticated({ within: '10m' })
export class SecondFactorController {
  constructor(
    private readonly auth: SessionAuth<User>,
    private readonly users: Users,
    private readonly codes: OneTimeCodes,
  ) {}

  /** The new secret waits in the session until a code shows that the app has it. */
  @Get()
  @Page('second-factor')
  show(@Session() session: Session, @CurrentUser() user: User) {
    if (user.totpSecret) return { isOn: true };
    return this.#offer(user, session.setDefault('newTotpSecret', this.codes.newSecret()));
  }

  @Post()
  @HttpCode(200)
  @ThenShow('/account')
  async switchOn(@Session() session: Session, @CurrentUser() user: User, @Body() body: unknown) {
    const secret = session.get('newTotpSecret');
    if (user.totpSecret || !secret) throw new Mistake(409, 'Please open the page of the second step again.');
    const again = () => this.#offer(user, secret);
    return orShowAgain('second-factor', again, () => this.#switchOn(session, user, secret, body));
  }

  @Delete()
  @ThenShow('/account')
  async switchOff(@Session() session: Session, @CurrentUser() user: User) {
    await this.auth.refresh(session, await this.users.changeTotpSecret(user, null));
    session.flash('notice', 'Your password is enough again. All your other devices are logged out.');
  }

  /** The same for a form, which cannot send DELETE. */
  @Post('remove')
  @HttpCode(200)
  @ThenShow('/account')
  switchOffByForm(@Session() session: Session, @CurrentUser() user: User) {
    return this.switchOff(session, user);
  }

  async #switchOn(session: Session, user: User, secret: string, body: unknown): Promise<void> {
    const { code } = readForm(body, { code: oneTimeCode });
    if (!(await this.codes.accept(user, code, secret)))
      throw new Mistake(400, 'That code is not right. Please try the next one.');
    await this.auth.refresh(session, await this.users.changeTotpSecret(user, secret));
    await this.auth.confirm(session, { methods: ['otp'], level: 2 }); // they have just proved it
    session.delete('newTotpSecret');
    session.flash('notice', 'From now on, a login asks for a code. All your other devices are logged out.');
  }

  #offer(user: User, secret: string) {
    return { isOn: false, secret, link: this.codes.linkOf(secret, user) };
  }
}
