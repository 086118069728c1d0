import { connect, createServer, type Server, type Socket } from 'node:net';

/** Bytes of the handshake's messages, which come whole from a client that waits for each answer. */
const VERSION = 5;
const NO_CREDENTIALS = 0;
const USER_AND_PASSWORD = 2;
const DOMAIN = 3;
const REFUSED = 5;

export interface SocksServerOptions {
  /** Both or neither: it asks for no credentials. */
  readonly user?: string;
  readonly password?: string;
  /** On loopback; absent: any free one. */
  readonly port?: number;
}

/** A SOCKS5 proxy for tests (RFC 1928 and 1929, CONNECT only). */
export async function openSocksServer({ user, password, port = 0 }: SocksServerOptions = {}) {
  const sockets = new Set<Socket>();
  const destinations: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    void serve(socket).catch(() => socket.destroy());
  });

  async function serve(socket: Socket): Promise<void> {
    await message(socket);
    socket.write(Uint8Array.of(VERSION, user === undefined ? NO_CREDENTIALS : USER_AND_PASSWORD));
    if (user !== undefined) {
      const expected = Buffer.concat([Buffer.of(1), counted(user), counted(password ?? '')]);
      const isRight = expected.equals(await message(socket));
      socket.write(Uint8Array.of(1, isRight ? 0 : 1));
      if (!isRight) return void socket.end();
    }
    const request = await message(socket);
    const host =
      request[3] === DOMAIN ? request.subarray(5, -2).toString() : Array.from(request.subarray(4, -2)).join('.');
    const onwardPort = request.readUInt16BE(request.length - 2);
    destinations.push(`${host}:${onwardPort}`);
    const onward = connect(onwardPort, host);
    sockets.add(onward);
    onward.on('close', () => sockets.delete(onward));
    const answer = (code: number) => socket.write(Uint8Array.of(VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0));
    onward.once('error', () => answer(REFUSED) && socket.end());
    onward.once('connect', () => {
      answer(0);
      socket.pipe(onward).pipe(socket);
    });
  }

  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port: portOf(server),
    /** What it was asked to connect to, `host:port` each. */
    destinations,
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function counted(text: string): Buffer {
  return Buffer.concat([Buffer.of(Buffer.byteLength(text)), Buffer.from(text)]);
}

function message(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('close', () => reject(new Error('closed')));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server does not listen');
  return address.port;
}
