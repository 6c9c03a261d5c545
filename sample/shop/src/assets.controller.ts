import { createReadStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Controller, Get, Header, NotFoundException, Param, StreamableFile } from '@nestjs/common';

const PUBLIC = new URL('../public/', import.meta.url);

/** The whole public folder: no path from outside ever reaches the file system. */
const TYPES = new Map([
  ['shop.css', 'text/css; charset=utf-8'],
  ['countdown.js', 'text/javascript; charset=utf-8'],
  ['leaf.svg', 'image/svg+xml'],
]);

/** Three files, on Express and Fastify alike. More of them are a job for `@nestjs/serve-static`. */
@Controller('assets')
export class AssetsController {
  @Get(':name')
  @Header('Cache-Control', 'public, max-age=60')
  asset(@Param('name') name: string): StreamableFile {
    const type = TYPES.get(name);
    if (!type) throw new NotFoundException();
    return new StreamableFile(createReadStream(fileURLToPath(new URL(name, PUBLIC))), { type });
  }
}
