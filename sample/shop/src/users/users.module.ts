import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Passwords } from './passwords.js';
import { User } from './user.entity.js';
import { Users } from './users.js';

@Module({
  imports: [TypeOrmModule.forFeature([User])],
  providers: [Users, Passwords],
  exports: [Users],
})
export class UsersModule {}
