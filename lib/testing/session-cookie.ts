import type { INestApplicationContext } from '@nestjs/common';
import type { Sessions } from '../detached/sessions.js';
import { SESSIONS } from '../tokens.js';

export interface TestSessionOptions {
  /** Log this user in, as your `SessionUserProvider` finds them. */
  userId?: string | number;
  /** [false] The requests of the test are HTTPS for the application (by a trusted proxy, for example). */
  secure?: boolean;
}

/**
 * Stores a session and gives the `Cookie` header of a browser that has it: an e2e test begins where it begins to matter.
 *
 * @param values what is in the session; left out: an empty one
 * @example
 * const cookie = await sessionCookie(app, { cart: ['tea'] }, { userId: user.id });
 * await request(app.getHttpServer()).get('/cart').set('Cookie', cookie).expect(200);
 */
export async function sessionCookie(
  app: Pick<INestApplicationContext, 'get'>,
  values: Record<string, unknown> = {},
  { userId, secure = false }: TestSessionOptions = {},
): Promise<string> {
  const sessions = app.get<Sessions>(SESSIONS, { strict: false });
  const session = await sessions.create<Record<string, unknown>>({ userId });
  session.update(values);
  await session.save();
  return sessions.cookieHeader(session, { secure });
}
