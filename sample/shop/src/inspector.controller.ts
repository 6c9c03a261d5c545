import { Controller, Get, HttpCode, Post } from '@nestjs/common';
import { Session } from 'nest-session';
import { Page, ThenShow } from './pages/page.decorators.js';

/** Shows visitors their session: all but its id, which no code gets to see. */
@Controller('session')
export class InspectorController {
  @Get()
  @Page('session')
  inspect(@Session() session: Session) {
    const {
      handle,
      isNew,
      isConfirmed,
      createdAt,
      lastSeenAt,
      expiresAt,
      absoluteExpiresAt: endsAt,
    } = session;
    return { handle, isNew, isConfirmed, createdAt, lastSeenAt, expiresAt, endsAt, values: sizesOf(session) };
  }

  /** What an application does after each login. */
  @Post('renew')
  @HttpCode(200)
  @ThenShow('/session')
  renew(@Session() session: Session) {
    session.cycleId();
    session.flash('notice', 'Your session has a new id, and the old one opens nothing any more.');
  }

  @Post('forget')
  @HttpCode(200)
  @ThenShow('/session')
  async forget(@Session() session: Session) {
    await session.flush();
  }
}

function sizesOf(session: Session): { key: string; bytes: number }[] {
  return [...session].map(([key, value]) => ({ key, bytes: Buffer.byteLength(JSON.stringify(value)) }));
}
