import { Injectable, type PipeTransform } from '@nestjs/common';
import { Mistake } from './mistake.js';
import { type Theme, THEMES } from './session-data.js';

@Injectable()
export class ThemePipe implements PipeTransform<unknown, Theme> {
  transform(value: unknown): Theme {
    const theme = THEMES.find((each) => each === value);
    if (!theme) throw new Mistake(400, `Please choose a theme: ${THEMES.join(', ')}.`);
    return theme;
  }
}
