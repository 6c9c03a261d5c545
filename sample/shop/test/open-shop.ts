import 'reflect-metadata';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { type Answer, Browser } from '../../../test/support/browser.js';
import { AppModule } from '../src/app.module.js';
import { type PlatformName, readConfig } from '../src/config.js';
import { adapterOf, furnish } from '../src/create-shop.js';

export const platforms: readonly PlatformName[] = ['express', 'fastify'];

export const ADA = { email: 'ada@example.com', password: 'tea-for-two-please' };
export const GRACE = { email: 'grace@example.com', password: 'one-lump-or-two' };

export interface Shop {
  readonly origin: string;
  visitor(): Visitor;
  close(): Promise<void>;
}

/** The shop on a port of its own; `env` is what a user sets, in memory unless it says otherwise. */
export async function openShop(
  platform: PlatformName,
  env: Record<string, string> = {},
  override = (builder: TestingModuleBuilder) => builder,
): Promise<Shop> {
  const SESSION_SECRET = 'a secret for tests, of more than 32 characters';
  const inMemory = { STORE: 'memory', DATABASE_URL: 'sqlite::memory:' };
  const config = readConfig({ ...inMemory, SESSION_SECRET, PLATFORM: platform, ...env });
  const module = await override(
    Test.createTestingModule({ imports: [AppModule.configured(config)] }),
  ).compile();
  const app = module.createNestApplication(adapterOf(platform), { logger: false });
  furnish(app, platform);
  await app.listen(0, '127.0.0.1');
  const origin = await app.getUrl();
  return { origin, visitor: () => new Visitor(new Browser(origin)), close: () => app.close() };
}

/** Where an answer leads, if anywhere. */
export function leadsTo({ status, headers }: Answer): string | number {
  return status === 303 ? (headers.get('location') ?? '') : status;
}

/** Somebody with a browser: sees pages, sends forms, and asks for JSON where a test wants to compare values. */
export class Visitor {
  constructor(readonly browser: Browser) {}

  /** The same visitor on another start of the shop: a cookie belongs to a host, whatever its port. */
  comesTo({ origin }: Shop): Visitor {
    return new Visitor(Object.assign(new Browser(origin), { jar: this.browser.jar }));
  }

  page(path: string): Promise<Answer> {
    return this.browser.get(path, { accept: 'text/html,*/*;q=0.8' });
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
  async json(path: string): Promise<Record<string, any>> {
    return (await this.call('GET', path)).json();
  }

  call(method: string, path: string, body?: object): Promise<Answer> {
    const type = body && { 'content-type': 'application/json' };
    const headers = { accept: 'application/json', ...type } as Record<string, string>;
    return this.browser.request(method, path, { headers, body: body && JSON.stringify(body) });
  }

  /** By the form of the login page; `more` are its other fields. */
  logIn(person: typeof ADA, more: Record<string, string> = {}): Promise<Answer> {
    return this.submit('/login', { ...person, ...more }, '/login');
  }

  /** Whom the shop takes this visitor for. */
  async name(): Promise<string | undefined> {
    const { user } = await this.json('/cart');
    return (user as { name: string } | undefined)?.name;
  }

  /** Sends a form as it stands on a page. */
  submit(path: string, fields: Record<string, string> = {}, page = '/'): Promise<Answer> {
    const { origin } = this.browser;
    const headers = { accept: 'text/html,*/*;q=0.8', origin, referer: origin + page };
    return this.browser.request('POST', path, { headers, body: new URLSearchParams(fields) });
  }
}
