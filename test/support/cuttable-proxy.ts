import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a server that can be cut: what is open breaks, and new connections are refused until it is mended. */
export class CuttableProxy {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #sent = 0;

  constructor(private target: URL) {}

  get url(): string {
    const url = new URL(this.target);
    [url.hostname, url.port] = ['127.0.0.1', String(this.#port)];
    return url.href;
  }

  /** How many bytes clients have sent. */
  get sent(): number {
    return this.#sent;
  }

  /** New connections lead to another server; those that are there stay. */
  leadTo(target: URL): void {
    this.target = target;
  }

  async mend(): Promise<void> {
    this.#server = createServer((from) => {
      const to = connect(Number(this.target.port || 6379), this.target.hostname);
      for (const [socket, other] of [
        [from, to],
        [to, from],
      ]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => (this.#sockets.delete(socket), other.destroy()));
        socket.pipe(other);
      }
      from.on('data', (chunk) => (this.#sent += chunk.length));
    });
    await new Promise<void>((resolve) => this.#server?.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async cut(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.#server?.listening) this.#server.close(() => resolve());
      else resolve();
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Lets nothing through, and breaks nothing: the server seems to hang. */
  hang(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  goOn(): void {
    for (const socket of this.#sockets) socket.resume();
  }
}
