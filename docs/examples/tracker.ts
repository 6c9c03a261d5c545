import type { WithSession } from 'nest-session';

/**
 * Whose requests are counted together: `ThrottlerModule.forRoot({ getTracker: trackerOf, throttlers: [...] })` of
 * @nestjs/throttler, or a limiter of your own.
 *
 * A session that the browser has not brought back counts for nothing: who sends no cookie gets a new one each time.
 */
export async function trackerOf(request: WithSession<{ readonly ip: string }>): Promise<string> {
  const { session } = request;
  await session.load(); // a global guard runs before anything else has asked for it
  if (session.userId !== undefined) return `user ${session.userId}`;
  return session.isConfirmed ? `session ${session.handle}` : `address ${request.ip}`;
}
