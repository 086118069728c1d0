/** What is told to the health of addresses: what they do wrong themselves, and nothing that a client's choice of a site does. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { basic, openSite, rawAnswer, runForwardProxy } from '../testing/forward-run.ts';
import { openSocksServer } from '../testing/socks-server.ts';

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

const USER = basic('user-resource-7');
const TUNNEL = `CONNECT site.test:443 HTTP/1.1\r\nHost: a\r\n${USER}\r\n`;
const PLAIN = `GET http://site.test/ HTTP/1.1\r\nHost: a\r\n${USER}Connection: close\r\n\r\n`;
const GREETED = Buffer.from([5, 0]);

/** A proxy that takes the request for the destination and then does `then`; `isSocks`: answers a greeting before. */
function asked(then: (socket: Socket) => void, isSocks = false): Promise<number> {
  return listening(
    createServer((socket) => {
      socket.once('data', () => {
        if (!isSocks) return then(socket);
        socket.write(GREETED);
        socket.once('data', () => then(socket));
      });
    }),
  );
}

const cases = [
  ['stays silent', () => {}],
  ['resets the connection', (socket: Socket) => void socket.resetAndDestroy()],
  ['closes the connection', (socket: Socket) => void socket.end()],
] as const;

describe('an address is not at fault where, once asked for a destination, it', () => {
  it.each(cases)('%s', async (_what, then) => {
    const settings = { connectTimeoutMs: 200, responseTimeoutMs: 200, retries: 0 };
    const [http, socks] = await Promise.all([asked(then), asked(then, true)]);
    for (const address of [`127.0.0.1:${http}`, `socks4://127.0.0.1:${http}`, `socks5://127.0.0.1:${socks}`]) {
      const { proxy, reports } = await runForwardProxy([address], { settings });
      for (const text of [TUNNEL, PLAIN]) expect([502, 504]).toContain((await rawAnswer(proxy.port, text)).status);
      expect(reports).toEqual([]);
    }
    const destinations = { resolve: 'upstream' } as const;
    const told = await runForwardProxy([`127.0.0.1:${http}`], { settings, destinations });
    const named = PLAIN.replace('site.test', 'site.example');
    expect([502, 504]).toContain((await rawAnswer(told.proxy.port, named)).status);
    expect(told.reports).toEqual([]);
  });
});

it('an address is at fault where it speaks another protocol than it should', async () => {
  const settings = { connectTimeoutMs: 5_000, retries: 0 };
  const other = await asked((socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
  for (const scheme of ['http', 'socks5']) {
    const { proxy, reports } = await runForwardProxy([`${scheme}://127.0.0.1:${other}`], { settings });
    expect((await rawAnswer(proxy.port, TUNNEL)).head).toContain('X-Leasehold-Error: upstream_broken');
    expect(reports).toEqual(['1 protocol']);
  }
});

it('an address is as slow as it takes connections, however slow the destination is', async () => {
  const site = await openSite((_incoming, response) => response.end());
  const slow = 300;
  const socks = await openSocksServer({ replyAfterMs: slow });
  onTestFinished(() => socks.close());
  const { proxy, latencies } = await runForwardProxy([`socks5://127.0.0.1:${socks.port}`]);
  const startMs = performance.now();
  expect((await rawAnswer(proxy.port, PLAIN.replace('site.test', `site.test:${site}`))).status).toBe(200);
  const tookMs = performance.now() - startMs;
  expect(latencies).toHaveLength(1);
  expect(tookMs - latencies[0]!).toBeGreaterThan(slow * 0.9);
});

it.each(['socks4', 'socks5'])(
  'a %s address that hangs up in the middle of the handshake has failed at once',
  async (scheme) => {
    const hangsUp = await listening(
      createServer({ allowHalfOpen: true }, (socket) => void socket.end(GREETED.subarray(0, 1))),
    );
    const settings = { connectTimeoutMs: 60_000, retries: 0 };
    const { proxy } = await runForwardProxy([`${scheme}://127.0.0.1:${hangsUp}`], { settings });
    expect((await rawAnswer(proxy.port, TUNNEL)).head).toContain('X-Leasehold-Error: upstream_broken');
  },
);

it('what a destination said is read to its end, where it said all of it at once', async () => {
  const site = await listening(createServer((socket) => void socket.end('and goodbye')));
  const socks = await openSocksServer({ greeting: 'hello ' });
  onTestFinished(() => socks.close());
  const { proxy } = await runForwardProxy([`socks5://127.0.0.1:${socks.port}`]);
  const { body } = await rawAnswer(proxy.port, TUNNEL.replaceAll('site.test:443', `site.test:${site}`));
  expect(body).toBe('hello and goodbye');
});
