import { Controller, Get, Post } from '@nestjs/common';
import { Session } from 'nest-session';
import type { RedisClient } from 'nest-session/redis';
import { openConnection, withIoRedis, withNodeRedis } from '../../lib/stores/redis/redis-connection.js';
import { clientKinds } from './redis-clients.js';

/** A client, and how to close it. */
export interface Connected {
  client: RedisClient;
  close(): Promise<void>;
}

/** Clients of the application's, and those that the store makes by a URL. */
export const ways: [string, (url: string) => Promise<Connected>][] = [
  ...clientKinds.map((kind): [string, (url: string) => Promise<Connected>] => [
    `your ${kind.name}`,
    kind.connect,
  ]),
  ['a node-redis of its own', (url) => openConnection(url, [withNodeRedis])],
  ['an ioredis of its own', (url) => openConnection(url, [withIoRedis])],
];

@Controller()
export class Views {
  @Post('write')
  write(@Session() session: Session<{ views: number }>) {
    session.set('views', (session.get('views') ?? 0) + 1);
    return { views: session.get('views') };
  }

  @Get('read')
  read(@Session() session: Session<{ views: number }>) {
    return { views: session.get('views') ?? null };
  }
}
