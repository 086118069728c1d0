/** A SOCKS5 proxy (RFC 1928, 1929), as much of it as a test takes: CONNECT, with a password or without. */
import { connect, createServer, type Socket } from 'node:net';

export interface SocksServer {
  readonly port: number;
  /** What it was asked to connect to, `host:port` each. */
  readonly destinations: readonly string[];
  close(): Promise<void>;
}

export interface SocksServerOptions {
  readonly user?: string;
  readonly password?: string;
  /** On loopback; absent: any free one. */
  readonly port?: number;
  /** Goes to the client in one piece with the reply, as if the destination had been very quick. */
  readonly greeting?: string;
  /** What the destination takes to be connected to. */
  readonly replyAfterMs?: number;
  /** Where names lead to. */
  readonly resolve?: (name: string) => string;
}

export async function openSocksServer(options: SocksServerOptions = {}): Promise<SocksServer> {
  const destinations: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
    void serve(socket, options, destinations).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    destinations,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const PASSWORD = 2;
const CONNECTION_REFUSED = 5;

async function serve(socket: Socket, options: SocksServerOptions, destinations: string[]): Promise<void> {
  const { user, password, greeting = '', replyAfterMs = 0, resolve = (name) => name } = options;
  const take = reader(socket);
  const [, methodCount = 0] = await take(2);
  const methods = await take(methodCount);
  const method = user === undefined ? NO_AUTHENTICATION : PASSWORD;
  socket.write(Buffer.from([VERSION, methods.includes(method) ? method : 0xff]));
  if (method === PASSWORD) {
    const [, userLength = 0] = await take(2);
    const givenUser = (await take(userLength)).toString();
    const [passwordLength = 0] = await take(1);
    const isRight = (await take(passwordLength)).toString() === password && givenUser === user;
    socket.write(Buffer.from([1, isRight ? 0 : 1]));
    if (!isRight) return void socket.end();
  }
  const [, , , kind] = await take(4);
  const host = await hostOf(kind!, take);
  const port = (await take(2)).readUInt16BE();
  destinations.push(`${host}:${port}`);
  if (replyAfterMs > 0) await new Promise((done) => setTimeout(done, replyAfterMs));
  const target = connect({ host: resolve(host), port, allowHalfOpen: true });
  const reply = (code: number) => Buffer.from([VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]);
  target.once('error', () => socket.end(reply(CONNECTION_REFUSED)));
  target.once('connect', () => {
    socket.write(Buffer.concat([reply(0), Buffer.from(greeting)]));
    socket.pipe(target);
    target.pipe(socket);
  });
  socket.once('close', () => target.destroy());
}

async function hostOf(kind: number, take: (length: number) => Promise<Buffer>): Promise<string> {
  if (kind === 1) return [...(await take(4))].join('.');
  if (kind === 3) return (await take((await take(1))[0]!)).toString();
  const groups = (await take(16)).toString('hex').match(/.{4}/g)!;
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** Bytes in turn, waited for; rejects where the connection ends before. */
function reader(socket: Socket): (length: number) => Promise<Buffer> {
  return async (length) => {
    for (;;) {
      const bytes = length === 0 ? Buffer.alloc(0) : (socket.read(length) as Buffer | null);
      if (bytes !== null) return bytes;
      if (socket.readableEnded || socket.destroyed) throw new Error('the connection ended');
      await new Promise<void>((resolve, reject) => {
        socket.once('readable', resolve);
        socket.once('close', () => reject(new Error('the connection ended')));
      });
    }
  };
}
