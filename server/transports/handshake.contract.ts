import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { freePort, handshake, type Listening, listening, Peer, RawPeer } from './harness.contract.ts';
import { certificate } from './tls.contract.ts';
import type { OpenTransport } from './transport.ts';

/** The beginning of one. */
const TLS_HELLO = Buffer.from('1603010200010001fc0303', 'hex');
const HAS_IPV6_LOOPBACK = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

export function handshakeContract(open: OpenTransport): void {
  it('tells the decision what the peer offered', async () => {
    const server = await listening(open, { decide: () => ({ accept: true, subprotocol: 'b.2' }) });
    await Peer.connect(`ws://127.0.0.1:${server.port}`, ['b.2', 'a.1'], {
      origin: 'https://origin.example',
      headers: { Authorization: 'Bearer of news' },
    });
    expect(server.requests).toEqual([
      {
        remoteAddress: '127.0.0.1',
        origin: 'https://origin.example',
        host: `127.0.0.1:${server.port}`,
        subprotocols: ['b.2', 'a.1'],
        authorization: 'Bearer of news',
      },
    ]);
  });

  it('leaves out of the decision what the peer left out', async () => {
    const server = await listening(open, { decide: () => ({ accept: false, status: 403, message: 'no' }) });
    await answerTo(server, handshake(server.port, { Host: undefined }).replace('HTTP/1.1', 'HTTP/1.0'));
    for (const request of server.requests) {
      expect(request).toEqual({
        remoteAddress: '127.0.0.1',
        origin: undefined,
        host: undefined,
        subprotocols: [],
        authorization: undefined,
      });
    }
    await answerTo(server, handshake(server.port));
    expect(server.requests.at(-1)).toMatchObject({ origin: undefined, subprotocols: [], authorization: undefined });
  });

  it('echoes the subprotocol decided on', async () => {
    const server = await listening(open, { decide: () => ({ accept: true, subprotocol: 'a.1' }) });
    const peer = await Peer.connect(`ws://127.0.0.1:${server.port}`, ['b.2', 'a.1']);
    expect(peer.client.protocol).toBe('a.1');
    expect((await server.accepted()).socket.subprotocol).toBe('a.1');
  });

  it('hands on who the decision says it is', async () => {
    const caller = { client: 'user1', isAuthenticated: true, role: 'collector', key: 'k1' } as const;
    let isKnown = true;
    const server = await listening(open, {
      decide: () => ({ accept: true, subprotocol: '', ...(isKnown ? { caller } : {}) }),
    });
    await Peer.connect(`ws://127.0.0.1:${server.port}`);
    expect((await server.accepted()).socket.caller).toBe(caller);
    isKnown = false;
    await Peer.connect(`ws://127.0.0.1:${server.port}`);
    expect((await server.accepted()).socket.caller).toBeUndefined();
  });

  it('echoes no subprotocol where none was decided on, and no extension ever', async () => {
    const server = await listening(open);
    const offers = { 'Sec-WebSocket-Protocol': 'a.1, b.2', 'Sec-WebSocket-Extensions': 'permessage-deflate' };
    const raw = await RawPeer.connect(server.port);
    raw.write(handshake(server.port, offers));
    await raw.until(() => raw.text().includes('\r\n\r\n'));
    expect(raw.text()).toMatch(/^HTTP\/1\.1 101 /);
    expect(raw.text()).not.toMatch(/Sec-WebSocket-(Protocol|Extensions)/i);
    expect((await server.accepted()).socket.subprotocol).toBe('');
  });

  it('answers a refusal with its status and text, and accepts nothing', async () => {
    const refusal = { accept: false, status: 403, message: 'This origin may not connect.' } as const;
    const server = await listening(open, { decide: () => refusal });
    const client = new WebSocket(`ws://127.0.0.1:${server.port}`);
    onTestFinished(() => client.terminate());
    client.on('error', () => {});
    const [, response] = await once(client, 'unexpected-response');
    let body = '';
    for await (const chunk of response) body += String(chunk);
    expect([response.statusCode, response.headers['content-type']]).toEqual([403, 'application/problem+json']);
    expect(JSON.parse(body)).toMatchObject({ code: 403, message: 'This origin may not connect.' });
    expect(server.acceptedCount).toBe(0);
  });

  it.each([
    ['another version', { 'Sec-WebSocket-Version': '12' }, 400],
    ['another protocol to upgrade to', { Upgrade: 'h2c' }, 426],
    ['no key', { 'Sec-WebSocket-Key': undefined }, 4],
    ['a key too short', { 'Sec-WebSocket-Key': 'abc' }, 4],
  ])('refuses a handshake with %s', async (_what, headers, status) => {
    const server = await listening(open);
    expect(await answerTo(server, handshake(server.port, headers))).toMatch(new RegExp(`^HTTP/1\\.1 ${status}`));
    expect(server.acceptedCount).toBe(0);
    await expectServing(server);
  });

  it.each(['GET', 'HEAD', 'POST', 'DELETE'])('answers a plain %s with 426', async (method) => {
    const server = await listening(open);
    const length = method === 'POST' ? 'Content-Length: 4\r\n' : '';
    const body = method === 'POST' ? 'body' : '';
    const request = `${method} /some/path?x=1 HTTP/1.1\r\nHost: a.example\r\n${length}\r\n${body}`;
    const answer = await answerTo(server, request);
    expect(answer).toMatch(/^HTTP\/1\.1 426 Upgrade Required\r\n/);
    expect(answer).toMatch(/\r\nUpgrade: websocket\r\n/i);
  });

  it.each([
    ['text', 'this is no HTTP at all\r\n\r\n'],
    ['a TLS hello', TLS_HELLO],
    ['zeros', Buffer.alloc(4_096)],
    ['a header without end', `GET / HTTP/1.1\r\nHost: ${'x'.repeat(200_000)}`],
  ])('cuts off %s in place of a handshake, and serves on', async (_what, bytes) => {
    const server = await listening(open, { handshakeTimeoutMs: 500 });
    const raw = await RawPeer.connect(server.port);
    raw.write(bytes);
    await raw.closed();
    expect(server.acceptedCount).toBe(0);
    await expectServing(server);
  });

  it.each([
    ['a body', (port: number) => `${handshake(port, { 'Content-Length': '5' })}hello`],
    ['a second request', (port: number) => handshake(port) + handshake(port)],
    [
      'a chunked body',
      (port: number) => `${handshake(port, { 'Transfer-Encoding': 'chunked' })}5\r\nhello\r\n0\r\n\r\n`,
    ],
    ['a request before it', (port: number) => `GET / HTTP/1.1\r\nHost: a.example\r\n\r\n${handshake(port)}`],
  ])('survives an upgrade with %s', async (_what, bytes) => {
    const server = await listening(open);
    const raw = await RawPeer.connect(server.port);
    raw.write(bytes(server.port));
    await raw.until(() => raw.text().includes('\r\n\r\n') || raw.isClosed);
    raw.tcp.destroy();
    await expectServing(server);
  });

  it('survives peers that reset the connection around the upgrade', async () => {
    const server = await listening(open);
    for (let cut = 0; cut < 20; cut += 1) {
      const raw = await RawPeer.connect(server.port);
      raw.write(handshake(server.port).slice(0, cut % 2 === 0 ? undefined : 40));
      raw.tcp.resetAndDestroy();
    }
    await expectServing(server);
  });

  it('survives a peer that resets the connection while it is being refused', async () => {
    const longerThanTheKernelTakes = 'x'.repeat(16_000_000);
    let isRefusing = true;
    const server = await listening(open, {
      decide: () =>
        isRefusing
          ? { accept: false, status: 403, message: longerThanTheKernelTakes }
          : { accept: true, subprotocol: '' },
    });
    const raw = await RawPeer.connect(server.port);
    raw.write(handshake(server.port));
    await raw.until(() => raw.received.length > 0);
    raw.tcp.resetAndDestroy();
    isRefusing = false;
    await expectServing(server);
  });

  it('cuts off handshakes that never end, silent or trickling, below TLS and without', async () => {
    const { tls } = await certificate();
    const beginnings = [
      { behaviour: {}, beginning: 'GET / HTTP/1.1\r\nX: ' },
      { behaviour: { tls }, beginning: TLS_HELLO },
    ];
    // All at once: one of the libraries takes ten seconds.
    const cutOff = beginnings.map(async ({ behaviour, beginning }) => {
      const server = await listening(open, { handshakeTimeoutMs: 300, ...behaviour });
      const silent = await RawPeer.connect(server.port);
      const trickling = await RawPeer.connect(server.port);
      trickling.write(beginning);
      const trickle = setInterval(() => trickling.write('x'), 100);
      await Promise.all([silent.closed(), trickling.closed()]);
      clearInterval(trickle);
      expect(server.acceptedCount).toBe(0);
    });
    await Promise.all(cutOff);
  });

  it('leaves a connection alone once its handshake is over', async () => {
    const deadlines: (() => void)[] = [];
    const server = await listening(open, {
      setTimer: (_delayMs, callback) => {
        deadlines.push(callback);
        return () => void deadlines.splice(deadlines.indexOf(callback), 1);
      },
    });
    const { peer, server: end } = await server.pair();
    for (const passed of deadlines.splice(0)) passed();
    peer.client.send('still here');
    await end.until(() => end.count('message') === 1);
    expect(end.closeCodes()).toEqual([]);
  });

  it('names a port that is in use, and its host', async () => {
    const port = await freePort();
    await listening(open, { port });
    const second = listening(open, { port });
    await expect(second).rejects.toThrow(new RegExp(`127\\.0\\.0\\.1 port ${port}: .*EADDRINUSE`));
  });

  it('names a host that is not of this machine', async () => {
    await expect(listening(open, { host: '192.0.2.77' })).rejects.toThrow(/192\.0\.2\.77 port 0: .*EADDRNOTAVAIL/);
    await expect(listening(open, { host: 'no-such-host.invalid' })).rejects.toThrow(/no-such-host\.invalid port 0: /);
  });

  it.skipIf(!HAS_IPV6_LOOPBACK)('names an IPv6 peer in short, and an IPv4 peer on a dual stack as IPv4', async () => {
    const server = await listening(open, { host: '::' });
    await Peer.connect(`ws://[::1]:${server.port}`);
    expect((await server.accepted()).socket.remoteAddress).toBe('::1');
    await Peer.connect(`ws://127.0.0.1:${server.port}`);
    expect((await server.accepted()).socket.remoteAddress).toBe('127.0.0.1');
    expect(server.requests.map(({ remoteAddress }) => remoteAddress)).toEqual(['::1', '127.0.0.1']);
  });
}

/** All that comes back before the connection ends. */
async function answerTo(server: Listening, request: string): Promise<string> {
  const raw = await RawPeer.connect(server.port);
  raw.write(request);
  await raw.closed();
  return raw.text();
}

async function expectServing(server: Listening): Promise<void> {
  const peer = await Peer.connect(`ws://127.0.0.1:${server.port}`);
  expect(peer.client.readyState).toBe(WebSocket.OPEN);
}
