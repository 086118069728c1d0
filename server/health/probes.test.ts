import http from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { faultOf, probeHttp, probeTcp } from './probes.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** One that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const never = new AbortController().signal;

function get(port: number, path = '/', signal = never) {
  return probeHttp({ url: new URL(`http://127.0.0.1:${port}${path}`), expect: [200, 204] }, signal);
}

it('finds good who takes a connection, and says that nobody does', async () => {
  const port = await listening(createServer());
  expect(await probeTcp('127.0.0.1', port, never)).toEqual({ ok: true });
  const nobody = await closedPort();
  expect(await probeTcp('127.0.0.1', nobody, never)).toEqual({ ok: false, reason: 'refused' });
  expect(await get(nobody)).toEqual({ ok: false, reason: 'refused' });
});

it('looks at the status of the path asked for, and reads no body', async () => {
  const statuses: Record<string, number> = { '/good?x=1': 204, '/bad': 503, '/moved': 302 };
  const server = http.createServer((request, response) => {
    response.writeHead(statuses[request.url!]!);
    // An endless one.
    if (request.url === '/bad') response.write('x');
    else response.end();
  });
  const port = await listening(server);
  expect(await get(port, '/good?x=1')).toEqual({ ok: true });
  expect(await get(port, '/bad')).toEqual({ ok: false, reason: 'status_503' });
  expect(await get(port, '/moved')).toEqual({ ok: false, reason: 'status_302' });
  await expect.poll(() => sockets.size).toBe(0);
});

it('gives up when it is aborted, and leaves no connection behind', async () => {
  const accepted = new Promise<Socket>((resolve) => servers.push(createServer(resolve)));
  const port = await listening(servers.pop()!);
  const abort = new AbortController();
  const probe = get(port, '/', abort.signal);
  const socket = await accepted;
  socket.resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  abort.abort();
  expect(await probe).toEqual({ ok: false, reason: 'timeout' });
  await closed;
});

it('has words for a connection that is cut, an answer that is no HTTP, and TLS with who speaks none', async () => {
  const cuts = await listening(createServer((socket) => socket.once('data', () => socket.destroy())));
  expect(await get(cuts)).toEqual({ ok: false, reason: 'reset' });
  const other = await listening(createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')));
  expect(await get(other)).toEqual({ ok: false, reason: 'protocol' });
  const switches = await listening(
    createServer((socket) =>
      socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ),
  );
  expect((await get(switches)).ok).toBe(false);
  const overTls = await probeHttp({ url: new URL(`https://127.0.0.1:${other}/`), expect: [200] }, never);
  expect(overTls).toEqual({ ok: false, reason: 'tls' });
});

it('finds the word in what wraps the error, and has one where it knows none', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  expect(faultOf(new AggregateError([refused]))).toBe('refused');
  expect(faultOf(new TypeError('fetch failed', { cause: refused }))).toBe('refused');
  expect(faultOf(new Error('http://user:password@host'))).toBe('failed');
  expect(faultOf(undefined)).toBe('failed');
});
