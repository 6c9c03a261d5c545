import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { Session } from 'nest-session';
import { Catalogue } from './catalogue/catalogue.js';
import { Page, ThenShow } from './pages/page.decorators.js';
import type { Theme } from './session-data.js';
import { ThemePipe } from './theme.pipe.js';

@Controller()
export class HomeController {
  constructor(private readonly catalogue: Catalogue) {}

  @Get()
  @Page('home')
  async home(@Session() session: Session) {
    // `atomic` and not `set`: two visits at the same moment are two.
    const views = await session.atomic('views', (views = 0) => views + 1);
    return { views, products: this.catalogue.products };
  }

  @Post('preferences')
  @HttpCode(200)
  @ThenShow('the page before')
  prefer(@Session() session: Session, @Body('theme', ThemePipe) theme: Theme) {
    session.set('theme', theme);
  }
}
