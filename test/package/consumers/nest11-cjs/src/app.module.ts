import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SessionModule } from 'nest-session';
import { TypeOrmSessionStore } from 'nest-session/typeorm';
import { AppController } from './app.controller';

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'better-sqlite3',
      database: ':memory:',
      autoLoadEntities: true,
      synchronize: true,
    }),
    SessionModule.forRoot({
      store: TypeOrmSessionStore,
      secret: 'only for this test: 9f2c7b1e4d8a6035',
    }),
  ],
  controllers: [AppController],
})
export class AppModule {}
