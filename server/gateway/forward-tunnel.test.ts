import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { ProxyAgent, request } from 'undici';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeCertificate } from '../testing/certificates.ts';
import { basic, deadAddress, openSite, openUpstream, rawAnswer, runForwardProxy } from '../testing/forward-run.ts';
import { openSocksServer } from '../testing/socks-server.ts';

/** The port of a TCP server whose sockets go with the test. */
async function openServer(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

interface Opened {
  readonly socket: Socket;
  /** All that came behind the head so far. */
  readonly received: () => string;
}

/** A tunnel, open. */
async function openTunnel(
  proxyPort: number,
  port: number,
  { user = 'user-resource-7', early = '' } = {},
): Promise<Opened> {
  const socket = connect({ port: proxyPort, host: '127.0.0.1', allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  let all = '';
  socket.on('data', (chunk: Buffer) => {
    all += chunk.toString('latin1');
  });
  socket.on('error', () => socket.destroy());
  socket.write(`CONNECT site.test:${port} HTTP/1.1\r\nHost: site.test:${port}\r\n${basic(user)}\r\n${early}`);
  await expect.poll(() => all).toContain('\r\n\r\n');
  expect(all).toMatch(/^HTTP\/1.1 200 Connection established\r\n\r\n/);
  return { socket, received: () => all.slice(all.indexOf('\r\n\r\n') + 4) };
}

describe('a tunnel', () => {
  it('carries HTTPS of curl and undici, and its lease is handed back when it ends', async () => {
    const tls = makeCertificate();
    const site = await openSite((_incoming, response) => response.end('secret page'), tls);
    const upstream = await openUpstream();
    const { leases, proxyUrl, logged } = await runForwardProxy([upstream.address]);
    const url = `https://localhost:${site}/`;
    const options = { destinations: { lookup: () => Promise.resolve([{ address: '127.0.0.1' }]) } };
    const other = await runForwardProxy([upstream.address], options);
    const { stdout } = await promisify(execFile)('curl', ['-sSk', '-x', proxyUrl(), `https://site.test:${site}/`]);
    expect(stdout).toBe('secret page');
    await expect.poll(() => leases.released).toEqual([{ addressId: 1, outcome: 'ok', requests: 1 }]);
    await expect.poll(() => logged).toHaveLength(1);
    expect(logged[0]).toMatchObject({
      fields: { method: 'CONNECT', path: `site.test:${site}`, status: 200, bytesSent: expect.any(Number) },
    });
    expect(logged[0]?.fields['bytesReceived']).toBeGreaterThan(100);
    const uri = other.proxyUrl('user-resource-7', 'x');
    const dispatcher = new ProxyAgent({ uri, requestTls: { ca: tls.cert } });
    onTestFinished(() => dispatcher.close());
    expect(await (await request(url, { dispatcher })).body.text()).toBe('secret page');
  });

  it('lets either side be done first, and brings the rest of the other', async () => {
    const site = await openServer((socket) => {
      let all = '';
      socket.on('data', (chunk) => {
        all += String(chunk);
      });
      socket.on('end', () => socket.end(`you said ${all}`));
    });
    for (const address of [(await openUpstream()).address, `socks5://127.0.0.1:${await socksPort()}`]) {
      const { proxy, leases } = await runForwardProxy([address]);
      const { socket, received } = await openTunnel(proxy.port, site);
      socket.end('all of it');
      await once(socket, 'end');
      expect(received()).toBe('you said all of it');
      await expect.poll(() => leases.released).toHaveLength(1);
    }
  });

  it('brings what was said before it was open, from either side', async () => {
    const site = await openServer((socket) => socket.pipe(socket));
    const socks = await openSocksServer({ greeting: 'welcome ' });
    onTestFinished(() => socks.close());
    const { proxy } = await runForwardProxy([`socks5://127.0.0.1:${socks.port}`]);
    const { received } = await openTunnel(proxy.port, site, { early: 'hello' });
    await expect.poll(received).toBe('welcome hello');
  });

  it('takes no more from one side than the other does', async () => {
    const total = 64 * 1_024 * 1_024;
    let accepted = 0;
    const site = await openServer((socket) => {
      const push = () => {
        while (accepted < total && !socket.destroyed) {
          accepted += 65_536;
          if (!socket.write(Buffer.alloc(65_536))) return void socket.once('drain', push);
        }
        socket.end();
      };
      push();
    });
    const { address } = await openUpstream();
    const { proxy } = await runForwardProxy([address]);
    const socket = connect({ port: proxy.port, host: '127.0.0.1', readableHighWaterMark: 1_024 } as never);
    onTestFinished(() => void socket.destroy());
    socket.write(`CONNECT site.test:${site} HTTP/1.1\r\nHost: a\r\n${basic('user-resource-7')}\r\n`);
    await once(socket, 'readable');
    // Nobody reads: buffers of sockets fill up, and then everybody waits.
    let before = -1;
    await expect
      .poll(
        () => {
          const isStill = accepted === before;
          before = accepted;
          return isStill;
        },
        { interval: 300, timeout: 20_000 },
      )
      .toBe(true);
    expect(accepted).toBeLessThan(total / 2);
    let bytes = 0;
    for await (const chunk of socket) bytes += (chunk as Buffer).length;
    expect(bytes).toBeGreaterThan(total);
  });

  it('is cut on both sides the moment its lease is revoked', async () => {
    let siteClosed = false;
    const site = await openServer((socket) => {
      socket.on('close', () => {
        siteClosed = true;
      });
      socket.pipe(socket);
    });
    const { address } = await openUpstream();
    const { proxy, leases, logged } = await runForwardProxy([address]);
    const { socket, received } = await openTunnel(proxy.port, site);
    socket.write('ping');
    await expect.poll(received).toBe('ping');
    const socketClosed = closeOf(socket);
    leases.revoke(1, 'unhealthy');
    await socketClosed;
    await expect.poll(() => siteClosed).toBe(true);
    expect(logged.at(-1)?.fields).toMatchObject({ status: 200, reason: 'unhealthy', bytesSent: 4, bytesReceived: 4 });
  });

  it('is cut when nothing has moved in it for too long', async () => {
    const site = await openServer(() => {});
    const { address } = await openUpstream();
    const { proxy, leases, logged } = await runForwardProxy([address], { settings: { tunnelIdleMs: 100 } });
    const { socket } = await openTunnel(proxy.port, site);
    await closeOf(socket);
    await expect.poll(() => leases.leased).toEqual([]);
    expect(logged.at(-1)?.fields).toMatchObject({ reason: 'idle' });
  });

  it('frees its lease at once where the client goes away before it is open', async () => {
    let reached = false;
    const silent = await openServer(() => {
      reached = true;
    });
    const { proxy, leases, logged } = await runForwardProxy([`127.0.0.1:${silent}`]);
    const socket = connect(proxy.port, '127.0.0.1', () =>
      socket.write(`CONNECT site.test:1 HTTP/1.1\r\nHost: a\r\n${basic('user-resource-7')}\r\n`),
    );
    await expect.poll(() => reached).toBe(true);
    const released = new Promise<void>((resolve) => {
      leases.onRelease = resolve;
    });
    socket.end();
    await released;
    expect(leases.leased).toEqual([]);
    await expect.poll(() => logged.at(-1)?.fields).toMatchObject({ status: 499 });
  });

  it('goes on over another address while nothing has been said, and else says why in the answer', async () => {
    const site = await openServer((socket) => socket.end('hi'));
    const refusing = await openSite((_incoming, response) => response.writeHead(200).end());
    const { address } = await openUpstream();
    const dead = deadAddress();
    const { proxy, leases } = await runForwardProxy([dead, address]);
    const { received } = await openTunnel(proxy.port, site);
    await expect.poll(received).toBe('hi');
    expect(leases.released[0]).toMatchObject({ addressId: 1, outcome: 'failed' });
    const alone = await runForwardProxy([dead]);
    const ask = (port: number, target: string) =>
      rawAnswer(port, `CONNECT ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${basic('user-resource-7')}\r\n`);
    const answer = await ask(alone.proxy.port, 'site.test:443');
    expect(answer.status).toBe(502);
    expect(answer.head).toContain('X-Leasehold-Error: upstream_unreachable');
    expect(JSON.parse(answer.body)).toMatchObject({ code: 502, reason: 'upstream_unreachable' });
    const confused = await runForwardProxy([`127.0.0.1:${refusing}`]);
    expect((await ask(confused.proxy.port, 'site.test:443')).head).toContain('upstream_');
  });

  it('is waited for when the proxy drains, and cut when it closes', async () => {
    const site = await openServer((socket) => socket.pipe(socket));
    const { address } = await openUpstream();
    const { proxy, leases } = await runForwardProxy([address]);
    const { socket, received } = await openTunnel(proxy.port, site);
    const drained = proxy.drain(20_000);
    socket.write('still here');
    await expect.poll(received).toBe('still here');
    socket.end();
    await drained;
    expect(leases.leased).toEqual([]);
    const another = await runForwardProxy([address]);
    const cut = await openTunnel(another.proxy.port, site);
    await another.proxy.drain(1);
    const closed = closeOf(cut.socket);
    await another.proxy.close();
    await closed;
  });
});

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

async function socksPort(): Promise<number> {
  const socks = await openSocksServer();
  onTestFinished(() => socks.close());
  return socks.port;
}
