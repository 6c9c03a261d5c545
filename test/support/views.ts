import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastifyView from '@fastify/view';
import type { INestApplication } from '@nestjs/common';
import ejs from 'ejs';
import type { PlatformName } from './http-app.js';

/** Gives an application EJS templates by name, for `@Render(name)`. */
export async function useViews(
  app: INestApplication,
  platform: PlatformName,
  templates: Record<string, string>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'nest-session-views-'));
  for (const [name, text] of Object.entries(templates)) await writeFile(join(folder, `${name}.ejs`), text);
  const close = app.close.bind(app);
  app.close = async () => {
    await close();
    await rm(folder, { recursive: true, force: true });
  };
  const instance: unknown = app.getHttpAdapter().getInstance();
  if (platform === 'express') {
    const express = instance as {
      engine(ext: string, engine: unknown): void;
      set(name: string, value: unknown): void;
    };
    express.engine('ejs', ejs.renderFile);
    express.set('views', folder);
    express.set('view engine', 'ejs');
  } else {
    const fastify = instance as { register(plugin: unknown, options: object): unknown };
    await fastify.register(fastifyView, { engine: { ejs }, root: folder, viewExt: 'ejs' });
  }
}
