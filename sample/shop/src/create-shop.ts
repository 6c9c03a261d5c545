import { fileURLToPath } from 'node:url';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import ejs from 'ejs';
import { AppModule } from './app.module.js';
import type { PlatformName, ShopConfig } from './config.js';
import { securityHeaders } from './security-headers.js';

const VIEWS = fileURLToPath(new URL('../views', import.meta.url));

export async function createShop(config: ShopConfig): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule.configured(config), adapterOf(config.platform), {
    abortOnError: false, // main.ts says what was wrong
  });
  furnish(app, config.platform);
  return app;
}

export function adapterOf(platform: PlatformName): ExpressAdapter {
  // Nest's signatures name Express only; which adapter it is matters to nobody but `furnish`.
  return platform === 'express' ? new ExpressAdapter() : (new FastifyAdapter() as unknown as ExpressAdapter);
}

/** All that is not a module's business: headers, templates, shutdown. */
export function furnish(app: INestApplication, platform: PlatformName): void {
  app.use(securityHeaders);
  app.enableShutdownHooks();
  if (platform === 'express') {
    const express = app as NestExpressApplication;
    express.disable('x-powered-by');
    express.setBaseViewsDir(VIEWS).setViewEngine('ejs');
  } else {
    (app as NestFastifyApplication).setViewEngine({ engine: { ejs }, root: VIEWS, viewExt: 'ejs' });
  }
}
