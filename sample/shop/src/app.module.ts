import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { SessionModule } from 'nest-session';
import { AssetsController } from './assets.controller.js';
import { CartController } from './cart/cart.controller.js';
import { CartService } from './cart/cart.service.js';
import { Catalogue } from './catalogue/catalogue.js';
import { ShopConfig } from './config.js';
import { HealthController } from './health.controller.js';
import { HomeController } from './home.controller.js';
import { InspectorController } from './inspector.controller.js';
import { ErrorPages } from './pages/error-pages.filter.js';
import { connectionsOf, storeOf } from './session-store.js';

@Module({
  controllers: [HomeController, CartController, InspectorController, HealthController, AssetsController],
  providers: [Catalogue, CartService, { provide: APP_FILTER, useClass: ErrorPages }],
})
export class AppModule {
  static configured(config: ShopConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ...connectionsOf(config),
        SessionModule.forRoot({
          store: storeOf(config),
          secret: config.secret,
          idleTimeout: config.idleTimeout,
          absoluteTimeout: config.absoluteTimeout,
        }),
      ],
      providers: [{ provide: ShopConfig, useValue: config }],
    };
  }
}
