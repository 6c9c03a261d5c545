import 'reflect-metadata';
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { INestApplication } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { MemorySessionStore, SessionModule, SessionStore } from 'nest-session';
import { failureLog } from './failure-log.js';
import { makeInjectWork } from './real-realm.js';
import { type PlatformName, SECRET, type TestAppOptions } from './http-app.js';

/** A way for a request to reach an application. Express speaks no HTTP/2: its requests inherit from Node's HTTP/1 ones. */
export const transports = [
  'Express over HTTP/1.1',
  'Fastify over HTTP/1.1',
  'Fastify by inject',
  'Fastify over HTTP/2',
] as const;
export type Transport = (typeof transports)[number];

/** What came back, with the header lines as they were sent, so that no cookie and no Vary value is merged away. */
export interface RawAnswer {
  readonly status: number;
  readonly reason: string;
  readonly body: string;
  /** The values of all lines with this name. */
  values(name: string): string[];
}

export interface SendOptions {
  method?: string;
  headers?: Record<string, string>;
}

export interface TransportApp {
  readonly app: INestApplication;
  readonly platform: PlatformName;
  readonly store: SessionStore;
  readonly port: number;
  send(path: string, options?: SendOptions): Promise<RawAnswer>;
  close(): Promise<void>;
}

/** The application of `startApp`, reached by one of the transports. */
export async function startOn(
  transport: Transport,
  options: Omit<TestAppOptions, 'platform' | 'override' | 'clock'>,
): Promise<TransportApp> {
  const module = await Test.createTestingModule({
    imports: [
      ...(options.imports ?? []),
      SessionModule.forRoot({
        store: options.store ?? MemorySessionStore,
        secret: SECRET,
        storeTimeout: '1m',
        ...options.session,
      }),
    ],
    controllers: options.controllers,
    providers: options.providers,
  }).compile();
  const platform = transport.startsWith('Express') ? 'express' : 'fastify';
  const app = module.createNestApplication(adapterFor(transport) as ExpressAdapter, { logger: failureLog });
  await options.setUp?.(app);
  const port = await open(app, transport);
  return {
    app,
    platform,
    store: app.get(SessionStore),
    port,
    send: (path, sendOptions) => SENDERS[transport]({ app, port }, path, sendOptions ?? {}),
    close: () => app.close(),
  };
}

function adapterFor(transport: Transport) {
  if (transport === 'Express over HTTP/1.1') return new ExpressAdapter();
  return transport === 'Fastify over HTTP/2' ? new FastifyAdapter({ http2: true }) : new FastifyAdapter();
}

async function open(app: INestApplication, transport: Transport): Promise<number> {
  if (transport === 'Fastify by inject') {
    makeInjectWork();
    await app.init();
    await (app as NestFastifyApplication).getHttpAdapter().getInstance().ready();
    return 0;
  }
  await app.listen(0, '127.0.0.1');
  return (app.getHttpServer().address() as AddressInfo).port;
}

type Sender = (
  to: { app: INestApplication; port: number },
  path: string,
  options: SendOptions,
) => Promise<RawAnswer>;

const SENDERS: Record<Transport, Sender> = {
  'Express over HTTP/1.1': ({ port }, path, options) => sendHttp1(port, path, options),
  'Fastify over HTTP/1.1': ({ port }, path, options) => sendHttp1(port, path, options),
  'Fastify over HTTP/2': ({ port }, path, options) => sendHttp2(port, path, options),
  'Fastify by inject': async ({ app }, path, { method = 'GET', headers }) => {
    const answer = await (app as NestFastifyApplication).inject({
      method: method as 'GET',
      url: path,
      headers,
    });
    const lines = Object.entries(answer.headers).flatMap(([name, value]) => linesOf(name, value));
    return rawAnswer(answer.statusCode, answer.statusMessage, answer.payload, lines);
  },
};

/** One request over a connection of its own. */
export async function sendHttp1(
  port: number,
  path: string,
  { method, headers }: SendOptions = {},
): Promise<RawAnswer> {
  const request = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const lines: Line[] = [];
  for (let i = 0; i < response.rawHeaders.length; i += 2)
    lines.push([response.rawHeaders[i], response.rawHeaders[i + 1]]);
  return rawAnswer(response.statusCode ?? 0, response.statusMessage ?? '', await textOf(response), lines);
}

async function sendHttp2(port: number, path: string, { method = 'GET', headers }: SendOptions) {
  const client = connect(`http://127.0.0.1:${port}`);
  const stream = client.request({ ':path': path, ':method': method, ...headers });
  try {
    stream.end();
    const [received] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    const lines = Object.entries(received).flatMap(([name, value]) => linesOf(name, value));
    return rawAnswer(Number(received[':status']), '', await textOf(stream), lines);
  } finally {
    client.close();
  }
}

type Line = [name: string, value: string];

function linesOf(name: string, value: unknown): Line[] {
  return [value].flat().map((each) => [name, String(each)]);
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function rawAnswer(status: number, reason: string, body: string, lines: readonly Line[]): RawAnswer {
  const values = (name: string) =>
    lines.filter(([each]) => each.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  return { status, reason, body, values };
}
