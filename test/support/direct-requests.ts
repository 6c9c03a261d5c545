import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { HttpException, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  SessionAuth,
  SessionClock,
  SessionEvents,
  SessionModule,
  type SessionModuleOptions,
  SessionStore,
} from 'nest-session';
import { FakeClock } from 'nest-session/testing';
import { RequestSessions } from '../../lib/http/request-sessions.js';
import { SECRET } from './http-app.js';
import { AppUsers, type Person, personOf } from './people.js';
import type { AnySession } from './stage.js';

/** What a request was answered. */
export interface DirectAnswer {
  readonly status: number;
  readonly code: string | undefined;
  readonly result: unknown;
  /** The session cookie that it sets: its value; '' takes it away; undefined: none. */
  readonly cookie: string | undefined;
}

/** Finds users at once, so that a request waits for the store alone. */
class PromptUsers extends AppUsers {
  override async findById(id: string) {
    return personOf(id);
  }
}

export type DirectHandler = (session: AnySession, auth: SessionAuth<Person>) => unknown;

/**
 * Requests without a network and without a platform, each on objects of Node's own: the session's way from the cookie
 * to Set-Cookie is the real one, and thousands of them take a second.
 */
export class DirectRequests {
  private constructor(
    private readonly module: TestingModule,
    readonly store: SessionStore,
    readonly clock: FakeClock,
  ) {}

  static async open(
    wiring: { store: SessionModuleOptions['store']; imports?: ModuleMetadata['imports'] },
    session: Partial<SessionModuleOptions> = {},
  ): Promise<DirectRequests> {
    const clock = new FakeClock();
    const options = {
      secret: SECRET,
      sweep: false as const,
      storeTimeout: '1m',
      auth: { users: PromptUsers },
    };
    const module = await Test.createTestingModule({
      imports: [
        ...(wiring.imports ?? []),
        SessionModule.forRoot({ store: wiring.store, ...options, ...session }),
      ],
    })
      .overrideProvider(SessionClock)
      .useValue(clock)
      .compile();
    await module.init();
    return new DirectRequests(module, module.get(SessionStore), clock);
  }

  get events(): SessionEvents {
    return this.module.get(SessionEvents);
  }

  /** @param cookie the session cookie's value that the request brings */
  async request(cookie: string | undefined, handle: DirectHandler): Promise<DirectAnswer> {
    const request = new IncomingMessage(new Socket());
    if (cookie) request.headers.cookie = `sessionid=${cookie}`;
    const response = new ServerResponse(request);
    const ended = sentBy(response);
    const requests = this.module.get(RequestSessions);
    const session = requests.of(Object.assign(request, { secure: false }), response);
    let result: unknown;
    let code: string | undefined;
    try {
      await session.load();
      result = await handle(session.session, this.module.get(SessionAuth));
      response.statusCode = 201;
      await session.commitForHandler();
    } catch (error) {
      response.statusCode = error instanceof HttpException ? error.getStatus() : 500;
      code = (error as { code?: string }).code ?? String(error);
    }
    response.end();
    await ended;
    return { status: response.statusCode, code, result, cookie: cookieOf(response) };
  }

  close(): Promise<void> {
    return this.module.close();
  }
}

/** Resolves when the answer has left: without a socket no event tells. */
function sentBy(response: ServerResponse): Promise<void> {
  const end = response.end.bind(response) as () => ServerResponse;
  return new Promise((resolve) => {
    Object.assign(response, {
      end: () => {
        resolve();
        return end();
      },
    });
  });
}

function cookieOf(response: ServerResponse): string | undefined {
  const lines = [response.getHeader('set-cookie') ?? []].flat().map(String);
  const own = lines.filter((line) => line.startsWith('sessionid='));
  if (own.length > 1) throw new Error('An answer has two session cookies.');
  return own[0]?.slice('sessionid='.length).split(';')[0];
}
