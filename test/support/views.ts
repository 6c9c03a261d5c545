import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastifyView from '@fastify/view';
import type { INestApplication } from '@nestjs/common';
import ejs from 'ejs';
import handlebars from 'handlebars';
import hbs from 'hbs';
import nunjucks from 'nunjucks';
import pug from 'pug';
import type { PlatformName } from './http-app.js';

interface Express {
  engine(ext: string, engine: unknown): void;
  set(name: string, value: unknown): void;
}

interface Fastify {
  register(plugin: unknown, options: object): unknown;
}

/** How each engine is made known to Express, and what @fastify/view calls it. */
const ENGINES = {
  ejs: { express: (app: Express) => app.engine('ejs', ejs.renderFile), fastify: { ejs } },
  pug: { express: (app: Express) => app.engine('pug', pug.renderFile), fastify: { pug } },
  nunjucks: {
    express: (app: Express, folder: string) => nunjucks.configure(folder, { express: app }),
    fastify: { nunjucks },
  },
  handlebars: { express: (app: Express) => app.engine('handlebars', hbs.__express), fastify: { handlebars } },
};

export type EngineName = keyof typeof ENGINES;
export const engines = Object.keys(ENGINES) as EngineName[];

/** Gives an application templates by name, for `@Render(name)`. */
export async function useViews(
  app: INestApplication,
  platform: PlatformName,
  templates: Record<string, string>,
  engine: EngineName = 'ejs',
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'nest-session-views-'));
  for (const [name, text] of Object.entries(templates))
    await writeFile(join(folder, `${name}.${engine}`), text);
  const close = app.close.bind(app);
  app.close = async () => {
    await close();
    await rm(folder, { recursive: true, force: true });
  };
  const instance: unknown = app.getHttpAdapter().getInstance();
  const { express, fastify } = ENGINES[engine];
  if (platform === 'express') {
    (instance as Express).set('views', folder);
    (instance as Express).set('view engine', engine);
    express(instance as Express, folder);
  } else {
    await (instance as Fastify).register(fastifyView, { engine: fastify, root: folder, viewExt: engine });
  }
}
