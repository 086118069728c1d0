import { expect, it } from 'vitest';
import type { Socket } from '../sessions/socket.ts';
import {
  type Accepted,
  clientFrame,
  type Heard,
  listening,
  MESSAGE_BYTES_MAX,
  OPCODE,
  Peer,
} from './harness.contract.ts';
import type { OpenTransport } from './transport.ts';

/** More than the kernel's buffers of both ends of a loopback connection take. */
const FLOOD_BYTES_MAX = 256 * 1_048_576;

export function messageContract(open: OpenTransport): void {
  it('carries text and bytes both ways as they are', async () => {
    const server = await listening(open, { onHeard: echo });
    const { peer, server: end } = await server.pair();
    const sent = [
      '',
      'plain',
      'naïve Ω 漢 😀',
      Buffer.alloc(0),
      Buffer.from([0, 255, 128, 10]),
      Buffer.alloc(70_000, 7),
    ];
    for (const message of sent) peer.client.send(message);
    await peer.until(() => peer.messages.length === sent.length);
    expect(peer.messages).toEqual(sent);
    expect(end.messages().map((message) => typeof message)).toEqual(sent.map((message) => typeof message));
  });

  it('sends a view of a larger buffer as the view', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    end.socket.send(new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 4));
    await peer.until(() => peer.messages.length === 1);
    expect(peer.messages).toEqual([Buffer.from([2, 3, 4])]);
  });

  it('sends bytes as they were, whatever is written over them afterwards', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    peer.client.pause();
    const block = Buffer.alloc(60_000);
    let count = 0;
    for (; end.socket.bufferedAmount() < 500_000 && count * block.length < FLOOD_BYTES_MAX; count += 1) {
      block.fill(count);
      end.socket.send(block);
      block.fill(0xff);
      end.socket.send(block.fill(count).subarray(0, 10));
    }
    block.fill(0xff);
    peer.client.resume();
    await peer.until(() => peer.messages.length === 2 * count);
    const isAsSent = (message: Buffer | string, index: number) =>
      (message as Buffer).equals(Buffer.alloc(index % 2 === 0 ? block.length : 10, index >> 1));
    expect(peer.messages.findIndex((message, index) => !isAsSent(message, index))).toBe(-1);
  });

  it('says with each message how much is queued', async () => {
    const said: [number, number][] = [];
    const sayMore = (socket: Socket) => {
      const queued = socket.send(Buffer.alloc(50_000));
      said.push([queued, socket.bufferedAmount()]);
    };
    const server = await listening(open, { onHeard: (heard, socket) => heard.type === 'message' && sayMore(socket) });
    const { peer, server: end } = await server.pair();
    peer.client.pause();
    while (end.socket.bufferedAmount() < 200_000) {
      sayMore(end.socket);
      end.socket.send('');
    }
    peer.client.send('and from within a callback');
    await end.until(() => end.count('message') === 1);
    expect(said.every(([told, asked]) => told === asked)).toBe(true);
    expect(said[0]).toEqual([0, 0]);
    expect(Math.max(...said.map(([told]) => told))).toBeGreaterThan(100_000);
    peer.client.resume();
    await end.until(() => end.count('drain') > 0);
    end.socket.close(1000, '');
    expect(end.socket.send('too late')).toBe(end.socket.bufferedAmount());
  });

  it('leaves a message intact when others follow', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    const sizes = [1, 100, 5_000, 80_000];
    const sent = Array.from({ length: 200 }, (_, index) => Buffer.alloc(sizes[index % sizes.length]!, index));
    for (const message of sent) peer.client.send(message);
    await end.until(() => end.count('message') === sent.length);
    expect(end.messages().every((message, index) => sent[index]!.equals(message as Uint8Array))).toBe(true);
  });

  it('puts a message together that comes in fragments, with a ping between them', async () => {
    const server = await listening(open);
    const { raw, server: end } = await server.rawPair();
    raw.write(clientFrame(OPCODE.text, 'one ', false));
    raw.write(clientFrame(OPCODE.ping, 'between'));
    raw.write(clientFrame(OPCODE.continuation, 'two ', false));
    for (const byte of clientFrame(OPCODE.continuation, 'three')) raw.write(Buffer.from([byte]));
    await end.until(() => end.count('message') === 1);
    expect(end.heard).toEqual([{ type: 'message', message: 'one two three' }]);
    await raw.until(() => raw.text().includes('between'));
  });

  it('takes a message of the longest length', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    peer.client.send(Buffer.alloc(MESSAGE_BYTES_MAX, 1));
    await end.until(() => end.count('message') === 1);
    expect(end.messages()[0]!.length).toBe(MESSAGE_BYTES_MAX);
  });

  it('closes on a longer message', async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    peer.client.send(Buffer.alloc(MESSAGE_BYTES_MAX + 1, 1));
    expect(await end.closed()).toEqual([1006]);
    expect([1006, 1009]).toContain((await peer.closed()).code);
    expect(end.messages()).toEqual([]);
  });

  it('closes on fragments that add up to a longer message', async () => {
    const server = await listening(open);
    const { raw, server: end } = await server.rawPair();
    raw.write(clientFrame(OPCODE.binary, Buffer.alloc(MESSAGE_BYTES_MAX, 1), false));
    raw.write(clientFrame(OPCODE.continuation, Buffer.alloc(1)));
    raw.tcp.on('data', () => raw.tcp.end());
    expect(await end.closed()).toEqual([1006]);
    expect(end.messages()).toEqual([]);
  });

  it.each([
    ['text that is not UTF-8', clientFrame(OPCODE.text, Buffer.from([0xff, 0xfe]))],
    ['an opcode that does not exist', clientFrame(5, 'x')],
    ['a reserved bit', Buffer.concat([Buffer.from([0xc2]), clientFrame(OPCODE.binary, 'x').subarray(1)])],
  ])('closes on %s', async (_what, bytes) => {
    const server = await listening(open);
    const { raw, server: end } = await server.rawPair();
    raw.write(bytes);
    raw.tcp.on('data', () => raw.tcp.end());
    expect(await end.closed()).toEqual([1006]);
    expect(end.messages()).toEqual([]);
  });

  it('pings, and hears the pong', async () => {
    const server = await listening(open);
    const { server: end } = await server.pair();
    end.socket.ping();
    await end.until(() => end.count('pong') === 1);
    expect(end.heard).toEqual([{ type: 'pong' }]);
  });

  it("answers the peer's ping with its payload, and calls nothing", async () => {
    const server = await listening(open);
    const { peer, server: end } = await server.pair();
    peer.client.ping('payload');
    await peer.until(() => peer.pongs.length === 1);
    expect(peer.pongs).toEqual(['payload']);
    expect(end.heard).toEqual([]);
  });

  it('counts what a peer does not read, and says when it has been taken', async () => {
    const server = await listening(open);
    const { raw, server: end } = await server.rawPair();
    raw.tcp.pause();
    const sentBytes = flood(end, 1_000_000);
    expect(end.socket.bufferedAmount()).toBeGreaterThan(1_000_000);
    expect(end.count('drain')).toBe(0);
    raw.tcp.resume();
    await end.until(() => end.count('drain') > 0);
    expect(end.socket.bufferedAmount()).toBe(0);
    await raw.until(() => raw.received.reduce((sum, chunk) => sum + chunk.length, 0) >= sentBytes);
  });

  it('says so too when little was queued', async () => {
    const server = await listening(open);
    const { raw, server: end } = await server.rawPair();
    raw.tcp.pause();
    for (let sentBytes = 0; end.socket.bufferedAmount() === 0 && sentBytes < FLOOD_BYTES_MAX; sentBytes += 1_000) {
      end.socket.send(Buffer.alloc(1_000));
    }
    expect(end.socket.bufferedAmount()).toBeGreaterThan(0);
    raw.tcp.resume();
    await end.until(() => end.count('drain') > 0);
    expect(end.socket.bufferedAmount()).toBe(0);
  });

  it('may send again from within drain', async () => {
    const onHeard = (heard: Heard, socket: Socket) => {
      if (heard.type === 'drain') socket.send('the last');
    };
    const server = await listening(open, { onHeard });
    const { peer, server: end } = await server.pair();
    peer.client.pause();
    flood(end, 100_000);
    peer.client.resume();
    await peer.until(() => peer.messages.at(-1) === 'the last');
  });

  it('cuts off a peer that pings without reading', async () => {
    const server = await listening(open);
    const { raw, server: end } = await server.rawPair();
    raw.tcp.pause();
    const pings = Buffer.concat(Array.from({ length: 5_000 }, () => clientFrame(OPCODE.ping, Buffer.alloc(125))));
    const keepPinging = () => {
      while (!raw.tcp.destroyed && raw.tcp.write(pings));
    };
    raw.tcp.on('drain', keepPinging);
    keepPinging();
    expect(await end.closed()).toEqual([1006]);
  });

  it('serves 200 sockets at once', async () => {
    const server = await listening(open, { onHeard: echo });
    const connecting = Array.from({ length: 200 }, () => Peer.connect(`ws://127.0.0.1:${server.port}`));
    const peers = await Promise.all(connecting);
    for (const [index, peer] of peers.entries()) peer.client.send(`number ${index}`);
    await Promise.all(peers.map((peer) => peer.until(() => peer.messages.length === 1)));
    expect(peers.map((peer) => peer.messages[0])).toEqual(peers.map((_, index) => `number ${index}`));
  });
}

function echo(heard: Heard, socket: Socket): void {
  if (heard.type === 'message') socket.send(heard.message);
}

/** Sends until more than `bufferedBytes` are queued, or the flood has no effect. */
export function flood(end: Accepted, bufferedBytes: number): number {
  const message = Buffer.alloc(60_000);
  const headerBytes = 4;
  let sentBytes = 0;
  while (end.socket.bufferedAmount() <= bufferedBytes && sentBytes < FLOOD_BYTES_MAX) {
    end.socket.send(message);
    sentBytes += message.length + headerBytes;
  }
  return sentBytes;
}
