import { Duplex } from 'node:stream';

/**
 * A keep-alive connection to an HTTP server of this process, without a socket: the server parses and answers as it
 * does on the wire, and neither kernel nor client disturb the measurement (Node documents `emit('connection')` for it).
 */
export class Connection extends Duplex {
  #answer = '';
  #answered;

  constructor(server) {
    super({ decodeStrings: false });
    server.emit('connection', this);
  }

  /** Sends one request; the promise holds the whole answer, head and body. */
  send(request) {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.push(request);
    });
  }

  _read() {}

  _write(chunk, encoding, done) {
    this.#answer += typeof chunk === 'string' ? chunk : chunk.latin1Slice();
    done();
    if (!isComplete(this.#answer)) return;
    const answer = this.#answer;
    this.#answer = '';
    this.#answered(answer);
  }
}

/** All that is asked here answers ASCII with a Content-Length. */
function isComplete(answer) {
  const bodyStart = answer.indexOf('\r\n\r\n') + 4;
  const length = /\r\ncontent-length: (\d+)/i.exec(answer);
  return bodyStart > 3 && answer.length >= bodyStart + Number(length[1]);
}
