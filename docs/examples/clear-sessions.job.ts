import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { Cron } from '@nestjs/schedule';
import { clearSessions } from 'nest-session';

@Injectable()
export class ClearSessionsJob {
  constructor(private readonly moduleRef: ModuleRef) {}

  @Cron('0 3 * * *', { name: 'clear-sessions', waitForCompletion: true })
  clear(): Promise<number> {
    return clearSessions(this.moduleRef);
  }
}
