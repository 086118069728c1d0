import { expect, it } from 'vitest';
import { clientFrame, freePort, listening, OPCODE, Peer, RawPeer } from './harness.contract.ts';
import { flood } from './message.contract.ts';
import type { OpenTransport } from './transport.ts';

export function lifetimeContract(open: OpenTransport): void {
  it.each([
    ['its code', 1000, 1000],
    ['a code of its own', 4321, 4321],
    ['1005 for none', undefined, 1005],
  ])("reports the peer's close with %s", async (_what, sent, code) => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    peer.client.close(sent);
    expect(await end.closed()).toEqual([code]);
    expect((await peer.closed()).code).toBe(code);
  });

  it.each([
    ['a reset', (raw: RawPeer) => raw.tcp.resetAndDestroy()],
    ['an end without closing handshake', (raw: RawPeer) => raw.tcp.end()],
    ['a close frame with a code that may not be sent', (raw: RawPeer) => raw.tcp.end(closeFrame(1006))],
    ['a close frame of one byte', (raw: RawPeer) => raw.tcp.end(clientFrame(OPCODE.close, 'x'))],
    ['a frame cut short', (raw: RawPeer) => raw.tcp.end(clientFrame(OPCODE.text, 'cut short').subarray(0, 8))],
  ])('reports %s once, as 1006', async (what, act) => {
    const server = await listening(open);
    const { raw, server: end } = await server.rawPair();
    act(raw);
    const codes = await end.closed();
    // To uWS a payload too short for a code is one without a code.
    if (what === 'a close frame of one byte') expect([[1005], [1006]]).toContainEqual(codes);
    else expect(codes).toEqual([1006]);
    await anotherRoundTrip(server.port);
    expect(end.heard).toHaveLength(1);
  });

  it('closes with code and reason', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    end.socket.close(4001, 'too slow');
    expect(end.closeCodes()).toEqual([]);
    expect(await peer.closed()).toEqual({ code: 4001, reason: 'too slow' });
    expect(await end.closed()).toEqual([4001]);
    await anotherRoundTrip(server.port);
    expect(end.heard).toHaveLength(1);
  });

  it('cuts a reason to what a close frame takes, between characters', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    end.socket.close(4001, 'é'.repeat(200));
    expect(await peer.closed()).toEqual({ code: 4001, reason: 'é'.repeat(61) });
  });

  it('delivers what was sent before the close', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    for (let index = 0; index < 50; index += 1) end.socket.send(`message ${index}`);
    end.socket.close(4000, '');
    await peer.closed();
    expect(peer.messages).toHaveLength(50);
  });

  it('passes on nothing that comes after its own close', async () => {
    const server = await listening(open);
    const { raw, server: end } = await server.rawPair();
    end.socket.close(4001, '');
    raw.write(clientFrame(OPCODE.text, 'too late'));
    raw.write(clientFrame(OPCODE.ping, 'too late'));
    raw.tcp.end(closeFrame(4001));
    expect(await end.closed()).toEqual([4001]);
    await raw.closed();
    expect(end.heard).toHaveLength(1);
  });

  it('terminates without a handshake', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    end.socket.terminate();
    expect(end.closeCodes()).toEqual([]);
    expect((await peer.closed()).code).toBe(1006);
    expect(await end.closed()).toEqual([1006]);
    await anotherRoundTrip(server.port);
    expect(end.heard).toHaveLength(1);
  });

  it('sends the close frame behind all that is queued', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    peer.client.pause();
    flood(end, 500_000);
    end.socket.close(4001, 'too slow');
    end.socket.send('not any more');
    peer.client.send('too late');
    await anotherRoundTrip(server.port);
    peer.client.resume();
    expect(await peer.closed()).toEqual({ code: 4001, reason: 'too slow' });
    expect(peer.messages).not.toContain('not any more');
    expect(await end.closed()).toEqual([4001]);
    expect(end.heard).toHaveLength(1);
  });

  it('cuts the connection when a peer does not let itself be closed', async () => {
    const server = await listening(open, { closeTimeoutMs: 300 });
    const { raw, server: end } = await server.rawPair();
    raw.tcp.pause();
    flood(end, 500_000);
    end.socket.close(4001, 'too slow');
    expect(await end.closed()).toEqual([1006]);
    expect(end.socket.bufferedAmount()).toBe(0);
    raw.tcp.resume();
    await raw.closed();
  });

  it('may be terminated while it closes', async () => {
    const server = await listening(open);
    const { raw, server: end } = await server.rawPair();
    raw.tcp.pause();
    flood(end, 500_000);
    end.socket.close(4001, 'too slow');
    end.socket.terminate();
    end.socket.close(4002, 'twice');
    expect(await end.closed()).toEqual([1006]);
    await anotherRoundTrip(server.port);
    expect(end.closeCodes()).toEqual([1006]);
  });

  it('does nothing any more once it is closed', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    peer.client.terminate();
    await end.closed();
    const { socket } = end;
    socket.send('text');
    socket.send(new Uint8Array(10));
    socket.ping();
    socket.close(4001, '');
    socket.terminate();
    expect(socket.bufferedAmount()).toBe(0);
    expect(socket.remoteAddress).toBe('127.0.0.1');
    await anotherRoundTrip(server.port);
    expect(end.heard).toHaveLength(1);
  });

  it('may be closed or terminated from within a callback', async () => {
    const server = await listening(open, {
      onHeard: (heard, socket) => {
        if (heard.type !== 'message') return;
        socket.send('the answer');
        if (heard.message === 'close') socket.close(4002, 'within');
        else socket.terminate();
      },
    });
    const closing = await server.pair();
    closing.peer.client.send('close');
    closing.peer.client.send('not any more');
    expect(await closing.peer.closed()).toEqual({ code: 4002, reason: 'within' });
    expect(closing.peer.messages).toEqual(['the answer']);
    expect(await closing.server.closed()).toEqual([4002]);
    expect(closing.server.count('message')).toBe(1);
    const terminating = await server.pair();
    terminating.peer.client.send('terminate');
    expect((await terminating.peer.closed()).code).toBe(1006);
    expect(await terminating.server.closed()).toEqual([1006]);
  });

  it('may be closed or terminated while it is being accepted', async () => {
    let isClosing = true;
    const server = await listening(open, {
      onAccept: (socket) => {
        if (isClosing) socket.close(4003, 'full');
        else socket.terminate();
      },
    });
    const closing = await server.pair();
    expect(await closing.peer.closed()).toEqual({ code: 4003, reason: 'full' });
    expect(await closing.server.closed()).toEqual([4003]);
    isClosing = false;
    const raw = await RawPeer.connect(server.port);
    raw.write(
      'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n',
    );
    raw.write('Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n');
    expect(await (await server.accepted()).closed()).toEqual([1006]);
    await raw.closed();
  });

  it('closes with peers connected and half connected, and frees the port', async () => {
    const port = await freePort();
    const server = await listening(open, { port });
    const pairs = await Promise.all([server.pair(), server.pair(), server.pair()]);
    const half = await RawPeer.connect(server.port);
    half.write('GET / HTTP/1.1\r\n');
    pairs[0].server.socket.send('before');
    await server.transport.close();
    expect(pairs.map((pair) => pair.server.closeCodes())).toEqual([[1006], [1006], [1006]]);
    await Promise.all(pairs.map(({ peer }) => peer.closed()));
    await half.closed();
    await expect(RawPeer.connect(server.port)).rejects.toThrow(/ECONNREFUSED/);
    const next = await listening(open, { port });
    expect(next.port).toBe(port);
    await next.pair();
  });

  it('closes from within a callback', async () => {
    let closing: Promise<void> | undefined;
    const server = await listening(open, {
      onHeard: (heard) => {
        if (heard.type === 'message') closing = server.transport.close();
      },
    });
    const { peer, server: end } = await server.pair();
    peer.client.send('close');
    await peer.closed();
    await closing;
    expect(end.closeCodes()).toEqual([1006]);
  });
}

/** Whatever was still on its way when this began has arrived when it is over. */
async function anotherRoundTrip(port: number): Promise<void> {
  const peer = await Peer.connect(`ws://127.0.0.1:${port}`);
  peer.client.ping('there and back');
  await peer.until(() => peer.pongs.length === 1);
}

function closeFrame(code: number): Buffer {
  return clientFrame(OPCODE.close, Buffer.from([code >> 8, code & 0xff]));
}
