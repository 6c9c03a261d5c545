import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { SessionModule } from 'nest-session';
import { AccountController } from './account/account.controller.js';
import { DevicesController } from './account/devices.controller.js';
import { PasswordController } from './account/password.controller.js';
import { SecondFactorController } from './account/second-factor.controller.js';
import { AssetsController } from './assets.controller.js';
import { CartController } from './cart/cart.controller.js';
import { CartService } from './cart/cart.service.js';
import { Catalogue } from './catalogue/catalogue.js';
import { ShopConfig } from './config.js';
import { HealthController } from './health.controller.js';
import { HomeController } from './home.controller.js';
import { InspectorController } from './inspector.controller.js';
import { CodeController } from './login/code.controller.js';
import { ConfirmController } from './login/confirm.controller.js';
import { LoginController } from './login/login.controller.js';
import { OneTimeCodes } from './login/one-time-codes.js';
import { RegisterController } from './login/register.controller.js';
import { ErrorPages } from './pages/error-pages.filter.js';
import { Frames } from './pages/frames.js';
import { databaseOf, storeOf } from './session-store.js';
import { SeededUsers } from './users/seeded-users.js';
import { Users } from './users/users.js';
import { UsersModule } from './users/users.module.js';

@Module({
  controllers: [
    ...[HomeController, CartController, InspectorController, HealthController, AssetsController],
    ...[LoginController, CodeController, ConfirmController, RegisterController],
    ...[AccountController, PasswordController, DevicesController, SecondFactorController],
  ],
  providers: [
    Catalogue,
    CartService,
    OneTimeCodes,
    SeededUsers,
    Frames,
    { provide: APP_FILTER, useClass: ErrorPages },
  ],
})
export class AppModule {
  static configured(config: ShopConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [
        databaseOf(config),
        UsersModule,
        SessionModule.forRoot({
          store: storeOf(config),
          secret: config.secret,
          idleTimeout: config.idleTimeout,
          absoluteTimeout: config.absoluteTimeout,
          // Not `true` alone: a stranger's page shall not log visitors in either, who have no session yet.
          csrf: { everyone: true },
          auth: {
            users: { useExisting: Users },
            imports: [UsersModule],
            loginUrl: '/login',
            secondFactorUrl: '/login/code',
            confirmUrl: '/login/confirm',
            rememberFor: config.rememberFor,
            maxSessions: config.findsSessionsByUser ? { limit: 20, onExceed: 'end-oldest' } : undefined,
            meta: true,
          },
        }),
      ],
      providers: [{ provide: ShopConfig, useValue: config }],
    };
  }
}
