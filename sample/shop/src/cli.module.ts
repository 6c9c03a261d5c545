import type { DynamicModule } from '@nestjs/common';
import { AppModule } from './app.module.js';
import { readConfig } from './config.js';

/**
 * The shop as the command line takes it, which has no other way to the configuration:
 * `npx nest-session stats --app sample/shop/dist/cli.module.js`.
 */
export default function shopModule(): DynamicModule {
  return AppModule.configured(readConfig(process.env));
}
