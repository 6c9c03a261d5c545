import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { MemorySessionStore, SessionModule, type SessionStoreOption } from 'nest-session';
import { MySqlSessionEntity, TypeOrmSessionStore } from 'nest-session/typeorm';
import { AssetsController } from './assets.controller.js';
import { CartController } from './cart/cart.controller.js';
import { CartService } from './cart/cart.service.js';
import { Catalogue } from './catalogue/catalogue.js';
import { ShopConfig } from './config.js';
import { HealthController } from './health.controller.js';
import { HomeController } from './home.controller.js';
import { InspectorController } from './inspector.controller.js';
import { ErrorPages } from './pages/error-pages.filter.js';

@Module({
  controllers: [HomeController, CartController, InspectorController, HealthController, AssetsController],
  providers: [Catalogue, CartService, { provide: APP_FILTER, useClass: ErrorPages }],
})
export class AppModule {
  static configured(config: ShopConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ...databaseOf(config),
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

function databaseOf({ store, database }: ShopConfig): DynamicModule[] {
  if (store === 'memory') return [];
  // `synchronize` creates the table of the sessions: good for a sample. Your application has migrations for that.
  return [TypeOrmModule.forRoot({ ...database, autoLoadEntities: true, synchronize: true })];
}

function storeOf({ store, database }: ShopConfig): SessionStoreOption {
  if (store === 'memory') return MemorySessionStore;
  const isMySql = database.type === 'mysql' || database.type === 'mariadb';
  return isMySql ? TypeOrmSessionStore.with({ entity: MySqlSessionEntity }) : TypeOrmSessionStore;
}
