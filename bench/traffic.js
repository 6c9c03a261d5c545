import { Socket } from 'node:net';

/**
 * Counts what this process says to its servers: commands, and bytes in both directions, on all TCP connections. The requests
 * of the measurement come without sockets (connection.js), so that all that is seen here is traffic of the stores.
 */
const sockets = new Set();
let commands = 0;

const { connect, write } = Socket.prototype;
Socket.prototype.connect = function (...args) {
  sockets.add(this);
  return connect.apply(this, args);
};
Socket.prototype.write = function (chunk, ...rest) {
  if (sockets.has(this)) commands += commandsIn(chunk);
  return write.call(this, chunk, ...rest);
};

/** @returns what was counted since the process began */
export function traffic() {
  let bytes = 0;
  for (const socket of sockets) bytes += socket.bytesWritten + socket.bytesRead;
  return { commands, bytes };
}

/** Redis: a command begins with `*<parts>`. PostgreSQL: each statement is one Execute or Query message. */
function commandsIn(chunk) {
  const text = typeof chunk === 'string' ? chunk : chunk.latin1Slice();
  if (text[0] === '*' || text[0] === '$') return text.match(/(?:^|\r\n)\*\d+\r\n\$/g)?.length ?? 0;
  return typeof chunk === 'string' ? 0 : statementsIn(chunk);
}

/** PostgreSQL's messages: a type of one byte, and a length that counts itself. */
function statementsIn(buffer) {
  let statements = 0;
  for (let at = 0; at + 5 <= buffer.length;) {
    const type = String.fromCharCode(buffer[at]);
    const length = buffer.readInt32BE(at + 1);
    if (length < 4) break; // no message of PostgreSQL
    if (type === 'E' || type === 'Q') statements++;
    at += 1 + length;
  }
  return statements;
}
