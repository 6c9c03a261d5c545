import { Controller, Get } from '@nestjs/common';
import { Authenticated, CurrentUser, Session } from 'nest-session';
import { Page } from '../pages/page.decorators.js';
import { User } from '../users/user.entity.js';

@Controller('account')
@Authenticated()
export class AccountController {
  @Get()
  @Page('account')
  show(@Session() session: Session, @CurrentUser() { email, name, totpSecret, createdAt }: User) {
    const { authenticatedAt } = session;
    return { email, name, createdAt, authenticatedAt, hasSecondFactor: totpSecret !== null };
  }
}
