import { Controller, Get } from '@nestjs/common';
import { Session } from 'nest-session';

declare module 'nest-session' {
  interface SessionData {
    views: number;
  }
}

@Controller()
export class AppController {
  @Get()
  home(@Session() session: Session): { views: number } {
    const views = (session.get('views') ?? 0) + 1;
    session.set('views', views);
    return { views };
  }

  @Get('views')
  views(@Session('views') views: number | undefined): { views: number } {
    return { views: views ?? 0 };
  }
}
