import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { MemorySessionStore, SessionModule, Sessions, type SessionStoreOption } from 'nest-session';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { SECRET } from '../support/http-app.js';
import { AppUsers, newPerson } from '../support/people.js';

const sqlite = () =>
  TypeOrmModule.forRoot({
    type: 'better-sqlite3',
    database: ':memory:',
    autoLoadEntities: true,
    synchronize: true,
  });

describe.each<[string, SessionStoreOption, boolean]>([
  ['memory', MemorySessionStore, false],
  ['SQLite', TypeOrmSessionStore, true],
])('an application context without HTTP, on %s', (_, store, hasDatabase) => {
  it('creates, opens, saves and ends sessions', async () => {
    @Module({
      imports: [
        ...(hasDatabase ? [sqlite()] : []),
        SessionModule.forRoot({ store, secret: SECRET, auth: { users: AppUsers } }),
      ],
    })
    class WorkerModule {}

    const context = await NestFactory.createApplicationContext(WorkerModule, { logger: false });
    const sessions = context.get(Sessions);
    const { id } = newPerson();
    const session = await sessions.create<{ plan: string }>({ userId: id });
    session.set('plan', 'silver');
    await session.save();

    const found = await sessions.open<{ plan: string }>(id, session.handle);
    expect(found?.get('plan')).toBe('silver');
    found?.set('plan', 'gold');
    await found?.save();
    expect((await sessions.open<{ plan: string }>(id, session.handle))?.get('plan')).toBe('gold');
    await found?.flush();
    expect(await sessions.open(id, session.handle)).toBeUndefined();
    await context.close();
  });
});

it('says what is missing where there are no logins', async () => {
  @Module({ imports: [SessionModule.forRoot({ store: MemorySessionStore, secret: SECRET })] })
  class PlainModule {}

  const context = await NestFactory.createApplicationContext(PlainModule, { logger: false });
  await expect(context.get(Sessions).create({ userId: 7 })).rejects.toThrow(/needs auth/);
  await context.close();
});
