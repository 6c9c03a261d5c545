import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { MemorySessionStore, SessionHealthIndicator } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp } from '../support/http-app.js';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly sessions: SessionHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.sessions.isHealthy(), () => this.sessions.isHealthy('visitors')]);
  }
}

let ping: () => Promise<void> = async () => undefined;
class AilingStore extends MemorySessionStore {
  override ping(): Promise<void> {
    return ping();
  }
}

describe.each(platforms)('the health check on %s', (platform) => {
  const check = async () => {
    const app = await startApp({
      platform,
      imports: [TerminusModule.forRoot({ logger: false })],
      controllers: [HealthController],
      store: AilingStore,
      session: { storeTimeout: 0.2 },
    });
    const answer = await new Browser(app.url).get('/health');
    await app.close();
    return answer;
  };

  it('is up while the store answers', async () => {
    ping = async () => undefined;
    const answer = await check();
    expect(answer.status).toBe(200);
    expect(answer.json().info).toEqual({ session: { status: 'up' }, visitors: { status: 'up' } });
  });

  it.each<[string, () => Promise<void>]>([
    ['fails', () => Promise.reject(new Error('connect to db.internal failed'))],
    ['hangs', () => new Promise<void>(() => undefined)],
  ])('is down, and names nothing inside, when the store %s', async (_, ailment) => {
    ping = ailment;
    const answer = await check();
    expect(answer.status).toBe(503);
    expect(answer.json().error).toEqual({ session: { status: 'down' }, visitors: { status: 'down' } });
    expect(answer.text).not.toContain('db.internal');
  });
});
