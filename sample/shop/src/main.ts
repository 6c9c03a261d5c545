import { Logger } from '@nestjs/common';
import { ConfigError, readConfig } from './config.js';
import { createShop } from './create-shop.js';

const logger = new Logger('Shop');

try {
  const config = readConfig(process.env);
  const app = await createShop(config);
  await app.listen(config.port, config.host);
  logger.log(
    `The shop is open: ${(await app.getUrl()).replace('127.0.0.1', 'localhost')} (${config.platform}, ${config.describeStore()})`,
  );
} catch (error) {
  logger.error(error instanceof ConfigError ? error.message : error);
  process.exit(1); // a data source that is open already would keep the process alive
}
