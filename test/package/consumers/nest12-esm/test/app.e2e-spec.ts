import 'reflect-metadata';
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { type INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { MemorySessionStore, SessionStore } from 'nest-session';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import request from 'supertest';
import { type App } from 'supertest/types.js';
import { AppModule } from '../src/app.module.js';

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

    assert.ok(app.get(SessionStore) instanceof MemorySessionStore);
    await countsVisits(app);
  });

  it('counts them with its own store too', async () => {
    const testing = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app = testing.createNestApplication();
    await app.init();

    assert.ok(app.get(SessionStore) instanceof TypeOrmSessionStore);
    await countsVisits(app);
  });
});

async function countsVisits(app: INestApplication<App>): Promise<void> {
  const browser = request.agent(app.getHttpServer());
  const first = await browser.get('/').expect(200, { views: 1 });
  assert.match(first.get('Set-Cookie')?.join() ?? '', /^sessionid=[^;]+;.*HttpOnly/);
  await browser.get('/').expect(200, { views: 2 });
  await browser.get('/views').expect(200, { views: 2 });

  await request(app.getHttpServer()).get('/').expect(200, { views: 1 }); // another browser
}
