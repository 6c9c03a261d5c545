import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SessionModule } from 'nest-session';
import { TypeOrmSessionStore } from 'nest-session/typeorm';

/** An application as most are: one module, and its sessions in a database. */
@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'better-sqlite3',
      database: process.env.DATABASE!,
      autoLoadEntities: true,
      retryAttempts: 1,
    }),
    SessionModule.forRoot({ store: TypeOrmSessionStore, secret: process.env.SECRET!, rotationGrace: '1h' }),
  ],
})
export class AppModule {}

/** Beside the module stands what is none. */
export const settings = { name: 'an application' };
