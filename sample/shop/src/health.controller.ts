import { Controller, Get, Logger, ServiceUnavailableException } from '@nestjs/common';
import { SessionStore } from 'nest-session';
import { ShopConfig } from './config.js';

/** For a load balancer. It asks for no session, and so costs none. */
@Controller('health')
export class HealthController {
  readonly #logger = new Logger(HealthController.name);

  constructor(
    private readonly config: ShopConfig,
    private readonly store: SessionStore,
  ) {}

  @Get()
  async health() {
    const { store } = this.config;
    try {
      await this.store.ping();
      return { status: 'ok', store };
    } catch (error) {
      this.#logger.error(error);
      throw new ServiceUnavailableException({ status: 'unavailable', store });
    }
  }
}
