// Compiled by `npm run typecheck` and never run: each wrong use has to stay an error.
import { Controller, Get } from '@nestjs/common';
import type { Request as ExpressRequest } from 'express';
import type { FastifyRequest } from 'fastify';
import { MemorySessionStore, Session, SessionModule, type WithSession } from 'nest-session';

interface Cart {
  readonly skus: string[];
}

interface Shop {
  cart: Cart;
  views: number;
}

@Controller()
export class ShopController {
  @Get()
  home(@Session() session: Session<Shop>): number {
    const views: number | undefined = session.get('views');
    // @ts-expect-error nobody may have set it yet
    const certain: number = session.get('views');
    // @ts-expect-error a value of another type
    session.set('views', 'many');
    // @ts-expect-error a name that the application does not know
    session.get('vews');
    // @ts-expect-error express-session's habit: values are set by `set`, or in `data`
    session.views = 1;
    // @ts-expect-error the id is a secret
    void session.id;
    const token: string = session.csrfToken;
    // @ts-expect-error a token is read, never set
    session.csrfToken = token;

    session.data.cart?.skus.push('tea');
    return (views ?? 0) + certain;
  }

  @Get('cart')
  cart(@Session('cart') cart: Cart | undefined): string[] {
    return cart?.skus ?? [];
  }
}

/** Without a declaration any name will do, and values are unknown. */
export function undeclared(session: Session<Record<never, never>>): unknown {
  // @ts-expect-error unknown is no number
  const views: number = session.get('views');
  session.set('anything', { at: 1 });
  return views;
}

export async function guarded(
  express: WithSession<ExpressRequest, Shop>,
  fastify: WithSession<FastifyRequest, Shop>,
) {
  await express.session.load();
  const views: number | undefined = express.session.get('views') ?? fastify.session.get('views');
  const [path, url]: string[] = [express.path, fastify.url];
  // @ts-expect-error a name that the application does not know
  fastify.session.get('vews');
  // @ts-expect-error it is put there by the framework
  express.session = fastify.session;
  return { views, path, url };
}

// What the start tells need not be told by the compiler: an environment may lack it.
SessionModule.forRoot({ store: MemorySessionStore, secret: process.env.SESSION_SECRET });
SessionModule.forRoot({
  store: MemorySessionStore,
  secret: [process.env.SESSION_SECRET, process.env.OLD_SECRET],
});
// @ts-expect-error a secret is not forgotten, though it may be missing
SessionModule.forRoot({ store: MemorySessionStore });
// @ts-expect-error a class, or { useValue }
SessionModule.forRoot({ store: new MemorySessionStore(), secret: 'x' });

// @ts-expect-error a store is required
SessionModule.forRoot({ secret: 'x' });
SessionModule.forRoot({ store: MemorySessionStore, secret: ['new', 'old'], idleTimeout: '14d' });
SessionModule.forRoot({
  store: MemorySessionStore,
  secret: 'x',
  csrf: { trustedOrigins: ['https://a.example'] },
});
// @ts-expect-error origins are texts
SessionModule.forRoot({ store: MemorySessionStore, secret: 'x', csrf: { trustedOrigins: [/example/] } });
// @ts-expect-error not a duration
SessionModule.forRoot({ store: MemorySessionStore, secret: 'x', idleTimeout: true });
