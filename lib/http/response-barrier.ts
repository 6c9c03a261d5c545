import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { type HttpException, HttpStatus } from '@nestjs/common';
import { HeadWriter } from './head-writer.js';

/** What the barrier asks before the first byte leaves. */
export interface ResponseGate {
  /**
   * Writes what is still to be written for an answer with this status.
   *
   * @returns undefined when the answer can leave at once; otherwise when it can, or why it cannot
   */
  settle(status: number): Promise<void> | undefined;
  /** The exception filters were told that the session was not saved: what leaves now is their answer. */
  readonly hasFailed: boolean;
  /** Adds what the answer has to say about the session. */
  writeHead(head: HeadWriter): void;
  /** An answer that takes the place of a 409 for a session with a new id: repeat the request. */
  redirectInstead(status: number): string | undefined;
  /** The response is over: sent, or the client went away. */
  closed(): void;
}

type Method = 'writeHead' | 'write' | 'end' | 'flushHeaders';
type AnyFunction = (...args: unknown[]) => unknown;
type Patched = Record<Method, AnyFunction>;

interface HeldCall {
  readonly method: Method;
  readonly args: unknown[];
}

/** What sends a response piece by piece, so that time passes between its first byte and its end. */
const STREAMING: readonly Method[] = ['write', 'flushHeaders'];

/**
 * Holds back the first byte of a response until the session is saved (law 2), whoever sends it: a handler with
 * `@Res()`, a guard's exception, a filter, a 404, a view, a stream.
 *
 * Four methods of the raw Node response are replaced from the session's first use on. The first call of one of them is
 * held while the gate settles, and those that follow queue behind it; then they are done in their order, or, when the
 * save failed, dropped for a 503. While it holds, the response looks to its users as it would without a barrier:
 * `headersSent` and `writableEnded` tell what was called, else a framework that looks at them would answer twice.
 */
export class ResponseBarrier {
  readonly #originals: Patched;
  readonly #patches: Patched;
  #phase: 'open' | 'holding' | 'released' | 'replacing' | 'replaced' = 'open';
  #isWatched = false;
  #held: HeldCall[] = [];
  #heldStatus: { code: number; message: string | undefined } = { code: 200, message: undefined };

  constructor(
    private readonly response: ServerResponse,
    private readonly gate: ResponseGate,
    private readonly onError: (error: unknown) => void,
  ) {
    const target = response as unknown as Patched;
    this.#originals = {
      writeHead: target.writeHead,
      write: target.write,
      end: target.end,
      flushHeaders: target.flushHeaders,
    };
    this.#patches = {
      writeHead: (...args) => this.#call('writeHead', args),
      write: (...args) => this.#call('write', args),
      end: (...args) => this.#call('end', args),
      flushHeaders: (...args) => this.#call('flushHeaders', args),
    };
    Object.assign(target, this.#patches);
  }

  /** The first byte is on its way: what is set now needs a save of its own, and no cookie can follow. */
  get hasBegun(): boolean {
    return this.#phase !== 'open';
  }

  /** The client went away; HTTP/2 tells it by the stream. */
  get #isGone(): boolean {
    const { destroyed, stream } = this.response as { destroyed?: boolean; stream?: { destroyed?: boolean } };
    return Boolean(destroyed || stream?.destroyed);
  }

  /** HTTP/2 has no status message: Node warns of whoever asks for it. */
  get #isHttp2(): boolean {
    return 'stream' in this.response;
  }

  #call(method: Method, args: unknown[]): unknown {
    switch (this.#phase) {
      case 'open':
        return this.#firstCall(method, args);
      case 'holding':
        return this.#hold(method, args);
      case 'released':
        if (STREAMING.includes(method)) this.#watchEnd();
        return this.#original(method, args);
      case 'replacing':
        return this.#originalUntilEnd(method, args);
      case 'replaced':
        return this.#swallow(method, args);
    }
  }

  #firstCall(method: Method, args: unknown[]): unknown {
    const status = method === 'writeHead' ? Number(args[0]) : this.response.statusCode;
    if (status < 200) return this.#original(method, args); // 1xx: the answer is still to come
    const location = this.gate.redirectInstead(status);
    if (location !== undefined) {
      this.#redirect(location);
      return this.#swallow(method, args);
    }
    const settling = this.gate.settle(status);
    if (!settling && this.gate.hasFailed) {
      this.#beginReplacing();
      return this.#originalUntilEnd(method, this.#withHead(method, args));
    }
    if (!settling) {
      this.#release();
      if (STREAMING.includes(method)) this.#watchEnd();
      return this.#original(method, this.#withHead(method, args));
    }
    this.#beginHold();
    settling.then(
      () => this.#replay(),
      (error: unknown) => this.#replace(error),
    );
    return this.#hold(method, args);
  }

  #beginHold(): void {
    this.#phase = 'holding';
    const { response } = this;
    const hasEnded = () => this.#held.some(({ method }) => method === 'end');
    Object.defineProperty(response, 'writableEnded', { get: hasEnded, configurable: true });
    if (this.#isHttp2) {
      this.#heldStatus = { code: response.statusCode, message: undefined };
      Object.defineProperty(response, 'headersSent', { get: () => true, configurable: true });
      for (const name of ['setHeader', 'appendHeader', 'removeHeader'])
        Object.defineProperty(response, name, { value: refuseLateHeaders, configurable: true });
    } else {
      this.#heldStatus = { code: response.statusCode, message: response.statusMessage };
      // What Node itself and others (compression, morgan) ask whether the head is done: `headersSent` is true now,
      // and a header that comes too late is refused, which else had become one of the held answer.
      (response as { _header?: unknown })._header = HELD;
    }
  }

  #endHold(): void {
    const response = this.response as unknown as Record<string, unknown>;
    delete response.writableEnded;
    if (this.#isHttp2)
      for (const name of ['headersSent', 'setHeader', 'appendHeader', 'removeHeader']) delete response[name];
    else response._header = null;
    // What was assigned after the head was held would have come too late without a barrier.
    const { code, message } = this.#heldStatus;
    response.statusCode = code;
    if (!this.#isHttp2) response.statusMessage = message;
  }

  #hold(method: Method, args: unknown[]): unknown {
    if (method === 'writeHead' && this.#held.length > 0) {
      const error = new Error('Cannot write headers after they are sent to the client');
      throw Object.assign(error, { code: 'ERR_HTTP_HEADERS_SENT' });
    }
    this.#held.push({ method, args });
    if (method === 'write') return false; // wait for 'drain': what is held stays in memory
    return method === 'flushHeaders' ? undefined : this.response;
  }

  #replay(): void {
    const held = this.#held;
    this.#endHold();
    this.#held = [];
    if (this.#isGone) {
      this.#release();
      return this.#abandon(held, true);
    }
    try {
      this.#release();
      let needsDrain = false;
      held.forEach(({ method, args }, index) => {
        const result = this.#original(method, index === 0 ? this.#withHead(method, args) : args);
        if (method === 'write') needsDrain = result !== false;
      });
      if (!this.response.writableEnded) this.#watchEnd();
      if (needsDrain && !this.response.writableEnded) this.response.emit('drain');
    } catch (error) {
      // Invalid header characters, for example: without a barrier the caller had got the error.
      this.onError(error);
      if (this.response.headersSent) this.response.destroy();
      else this.#answer(HttpStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR);
    }
  }

  /** The session was not saved: an error leaves in the place of the answer, in the form that Nest gives it. */
  #replace(error: unknown): void {
    const held = this.#held;
    const isGone = this.#isGone;
    this.#endHold();
    this.#held = [];
    if (!isHttpException(error)) this.onError(error);
    if (!isGone) this.#answerError(error);
    this.#phase = 'replaced';
    this.#abandon(held, isGone);
    // A writer that waits may go on: what it writes is swallowed.
    if (!isGone && held.some(({ method }) => method === 'write')) this.response.emit('drain');
  }

  #answerError(error: unknown): void {
    if (!isHttpException(error)) return this.#answer(HttpStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR);
    const location = this.gate.redirectInstead(error.getStatus());
    if (location !== undefined) this.#redirect(location);
    else this.#answer(error.getStatus(), bodyOf(error));
  }

  #redirect(location: string): void {
    this.#answer(HttpStatus.TEMPORARY_REDIRECT, undefined, { Location: location });
  }

  #answer(status: number, body: object | undefined, headers: OutgoingHttpHeaders = {}): void {
    this.#beginReplacing();
    const { response } = this;
    for (const name of response.getHeaderNames()) if (describesTheAnswer(name)) response.removeHeader(name);
    response.statusCode = status;
    if (!this.#isHttp2) response.statusMessage = '';
    const head = new HeadWriter(response);
    this.gate.writeHead(head);
    head.set('Cache-Control', 'no-store');
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined) head.set(name, String(value));
    if (body) head.set('Content-Type', 'application/json; charset=utf-8');
    const text = body ? JSON.stringify(body) : '';
    head.set('Content-Length', String(Buffer.byteLength(text)));
    this.#originalUntilEnd('end', response.req?.method === 'HEAD' ? [] : [text]);
  }

  /** An error answer leaves, ours or a filter's; what the handler still streams must not run into it. */
  #beginReplacing(): void {
    this.#phase = 'replacing';
    this.response.on('unpipe', (source: Readable) => source.destroy()); // nobody reads it to its end any more
  }

  #originalUntilEnd(method: Method, args: unknown[]): unknown {
    const result = this.#original(method, args); // the originals call each other
    if (method === 'end') this.#phase = 'replaced';
    return result;
  }

  #withHead(method: Method, args: unknown[]): unknown[] {
    const head = new HeadWriter(this.response, method === 'writeHead' ? args : undefined);
    this.gate.writeHead(head);
    return head.arguments ?? args;
  }

  /** Takes the patches off that are not needed to see that the response is streamed. */
  #release(): void {
    this.#phase = 'released';
    this.#takeOff('writeHead');
    this.#takeOff('end');
  }

  /** Tells the gate of the response's end; one that is sent in one piece has nothing to tell. */
  #watchEnd(): void {
    STREAMING.forEach((method) => this.#takeOff(method));
    if (!this.#isWatched) this.response.once('close', () => this.gate.closed());
    this.#isWatched = true;
  }

  /** Where somebody has wrapped a patch meanwhile, it stays, and passes everything through. */
  #takeOff(method: Method): void {
    const target = this.response as unknown as Patched;
    if (target[method] === this.#patches[method]) target[method] = this.#originals[method];
  }

  #original(method: Method, args: unknown[]): unknown {
    return this.#originals[method].apply(this.response, args);
  }

  /** Another answer has left: what the handler still sends goes nowhere, and it is told that it went. */
  #swallow(method: Method, args: unknown[]): unknown {
    callBack(args, undefined);
    if (method === 'write') return true;
    return method === 'flushHeaders' ? undefined : this.response;
  }

  #abandon(held: readonly HeldCall[], isGone: boolean): void {
    const error = isGone ? new Error('The client went away.') : undefined;
    for (const { args } of held) callBack(args, error);
  }
}

/** Stands where Node keeps the head that it has written. */
const HELD = 'held by nest-session';

function refuseLateHeaders(): never {
  const error = new Error('Response has already been initiated.');
  throw Object.assign(error, { code: 'ERR_HTTP2_HEADERS_SENT' });
}

function callBack(args: unknown[], error: Error | undefined): void {
  const callback = args.at(-1);
  if (typeof callback === 'function') process.nextTick(callback, error);
}

const INTERNAL_ERROR = { statusCode: HttpStatus.INTERNAL_SERVER_ERROR, message: 'Internal server error' };

/** By what it can do: what a store or a backend throws may be of another copy of Nest's package. */
function isHttpException(error: unknown): error is HttpException {
  const exception = Object(error) as object;
  return 'getStatus' in exception && 'getResponse' in exception;
}

function bodyOf(exception: HttpException): object {
  const response = exception.getResponse();
  return typeof response === 'object' ? response : { statusCode: exception.getStatus(), message: response };
}

/** Headers that belong to the answer that does not leave; others (CORS, request ids) stay. */
function describesTheAnswer(name: string): boolean {
  return /^(content-|transfer-encoding$|etag$|last-modified$|accept-ranges$|location$|refresh$|set-cookie$|trailer$)/i.test(
    name,
  );
}
