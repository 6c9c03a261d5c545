import { Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import {
  Authenticated,
  CurrentUser,
  Session,
  SessionAuth,
  SessionStoreUnsupportedError,
  type UserSession,
} from 'nest-session';
import { Mistake } from '../mistake.js';
import { Page, ThenShow } from '../pages/page.decorators.js';
import { User } from '../users/user.entity.js';

/** Where somebody is logged in, and how to end it. */
@Controller('account/devices')
@Authenticated()
export class DevicesController {
  constructor(private readonly auth: SessionAuth<User>) {}

  /** `devices` is null with a store that finds no sessions by user, such as the encrypted cookie. */
  @Get()
  @Page('devices')
  async list(
    @Session() session: Session,
    @CurrentUser() user: User,
  ): Promise<{ devices: UserSession[] | null }> {
    return { devices: await this.auth.sessions(user, session).catch(nullIfUnsupported) };
  }

  @Post('revoke-others')
  @HttpCode(200)
  @ThenShow('/account/devices')
  async revokeOthers(@Session() session: Session) {
    const ended = await this.auth.revokeOthers(session).catch(nullIfUnsupported);
    if (ended === null) throw noList();
    session.flash(
      'notice',
      ended > 0 ? 'You are logged in here, and nowhere else.' : 'There was no other device.',
    );
    return { ended };
  }

  @Delete(':handle')
  @ThenShow('/account/devices')
  async revoke(@Session() session: Session, @CurrentUser() user: User, @Param('handle') handle: string) {
    if (handle === session.handle) throw new Mistake(400, 'That is this device: log out instead.');
    const ended = await this.auth.revoke(user, handle).catch(nullIfUnsupported);
    if (ended === null) throw noList();
    session.flash('notice', 'That device is logged out.');
  }

  /** The same for a form, which cannot send DELETE. */
  @Post(':handle/revoke')
  @HttpCode(200)
  @ThenShow('/account/devices')
  revokeByForm(@Session() session: Session, @CurrentUser() user: User, @Param('handle') handle: string) {
    return this.revoke(session, user, handle);
  }
}

function nullIfUnsupported(error: unknown): null {
  if (error instanceof SessionStoreUnsupportedError) return null;
  throw error;
}

function noList(): Mistake {
  return new Mistake(404, 'Your sessions are where we cannot list them: a new password ends all the others.');
}
