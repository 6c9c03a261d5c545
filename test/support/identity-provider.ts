import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface IdentityProvider {
  readonly url: string;
  close(): Promise<void>;
}

interface Grant {
  readonly user: string;
  readonly challenge: string;
}

/**
 * As much of an OpenID provider as a login needs. `/authorize` knows everybody (`login_hint` says who is in front of the
 * screen) and sends a code back, as a redirect or as a form (`response_mode=form_post`); `/token` gives the user's name for
 * a code and its PKCE verifier, once.
 */
export async function startIdentityProvider(): Promise<IdentityProvider> {
  const grants = new Map<string, Grant>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'https://id.example');
    if (url.pathname === '/authorize') authorize(url.searchParams, grants, response);
    else void token(request, grants, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${port}`, close };
}

function authorize(query: URLSearchParams, grants: Map<string, Grant>, response: ServerResponse): void {
  const code = randomBytes(16).toString('base64url');
  grants.set(code, { user: query.get('login_hint') ?? '', challenge: query.get('code_challenge') ?? '' });
  const state = query.get('state') ?? '';
  const target = query.get('redirect_uri') ?? '';
  if (query.get('response_mode') !== 'form_post') {
    response
      .writeHead(302, { Location: `${target}?${new URLSearchParams({ code, state }).toString()}` })
      .end();
    return;
  }
  const field = (name: string, value: string) => `<input type="hidden" name="${name}" value="${value}">`;
  response
    .writeHead(200, { 'Content-Type': 'text/html' })
    .end(`<form method="post" action="${target}">${field('code', code)}${field('state', state)}</form>`);
}

async function token(request: IncomingMessage, grants: Map<string, Grant>, response: ServerResponse) {
  const form = new URLSearchParams(Buffer.concat((await request.toArray()) as Buffer[]).toString());
  const code = form.get('code') ?? '';
  const grant = grants.get(code);
  grants.delete(code); // good once, whatever comes of it
  const isGood = grant?.challenge === hash('sha256', form.get('code_verifier') ?? '', 'base64url');
  response
    .writeHead(isGood ? 200 : 400, { 'Content-Type': 'application/json' })
    .end(JSON.stringify(isGood ? { sub: grant?.user } : { error: 'invalid_grant' }));
}
