import { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { MemorySessionStore, SessionStore } from 'nest-session';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import request from 'supertest';
import { App } from 'supertest/types';
import { AppModule } from '../src/app.module';

describe('the application', () => {
  let app: INestApplication<App>;
  afterEach(() => app.close());

  it('counts the visits of one browser with the store overridden', async () => {
    const testing = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(SessionStore)
      .useClass(MemorySessionStore)
      .compile();
    app = testing.createNestApplication();
    await app.init();

    expect(app.get(SessionStore)).toBeInstanceOf(MemorySessionStore);
    await countsVisits(app);
  });

  it('counts them with its own store too', async () => {
    const testing = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app = testing.createNestApplication();
    await app.init();

    expect(app.get(SessionStore)).toBeInstanceOf(TypeOrmSessionStore);
    await countsVisits(app);
  });
});

async function countsVisits(app: INestApplication<App>): Promise<void> {
  const browser = request.agent(app.getHttpServer());
  const first = await browser.get('/').expect(200, { views: 1 });
  expect(first.get('Set-Cookie')?.join()).toMatch(/^sessionid=[^;]+;.*HttpOnly/);
  await browser.get('/').expect(200, { views: 2 });
  await browser.get('/views').expect(200, { views: 2 });

  await request(app.getHttpServer()).get('/').expect(200, { views: 1 }); // another browser
}
