import type { IncomingMessage, ServerResponse } from 'node:http';
import { All, Controller, Req, Res, type Type } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Session } from 'nest-session';

export type AnySession = Session<Record<string, unknown>>;

export interface Scene {
  readonly session: AnySession;
  readonly request: IncomingMessage;
  /** Node's own response, on both platforms. */
  readonly response: ServerResponse;
}

/** A controller whose handler each test writes for itself: `/raw` gives it the raw response, `/value` sends what it returns. */
export function makeStage() {
  const stage: { controller: Type; play: (scene: Scene) => unknown } = {
    controller: undefined as never,
    play: () => undefined,
  };

  @Controller()
  class StageController {
    @All('raw')
    raw(@Session() session: AnySession, @Req() request: Ask, @Res() response: FastifyReply | ServerResponse) {
      return stage.play({ session, request: request.raw ?? request, response: rawOf(response) });
    }

    @All('value')
    value(
      @Session() session: AnySession,
      @Req() request: Ask,
      @Res({ passthrough: true }) response: FastifyReply | ServerResponse,
    ) {
      const raw = 'raw' in response ? response.raw : response;
      return stage.play({ session, request: request.raw ?? request, response: raw });
    }

    @All('plain')
    plain(@Res() response: FastifyReply | ServerResponse) {
      rawOf(response).end('plain');
    }
  }

  stage.controller = StageController;
  return stage;
}

type Ask = IncomingMessage & { raw?: IncomingMessage };

/** Node's own response; on Fastify with the headers that plugins have set on the reply until now. */
export function rawOf(response: FastifyReply | ServerResponse): ServerResponse {
  if (!('raw' in response)) return response;
  response.hijack();
  for (const [name, value] of Object.entries(response.getHeaders()))
    if (value !== undefined) response.raw.setHeader(name, value);
  return response.raw;
}
