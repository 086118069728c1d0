/** The two ends of a connection as the contract suite drives them: a listening transport that records, and raw peers. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket as TcpSocket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import type { Socket, SocketHandlers, UpgradeDecision, UpgradeRequest } from '../sessions/socket.ts';
import type { OpenTransport, Transport, TransportOptions } from './transport.ts';

export const MESSAGE_BYTES_MAX = 100_000;

export type Heard =
  | { readonly type: 'message'; readonly message: Uint8Array | string }
  | { readonly type: 'pong' | 'drain' }
  | { readonly type: 'close'; readonly code: number };

/** Whatever is waited for is looked at anew after each thing heard: nothing here sleeps or polls. */
class Watched {
  #watchers: (() => void)[] = [];

  changed(): void {
    for (const look of this.#watchers.splice(0)) look();
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }
}

/** The server's end of one connection, and everything it was told, in order. */
export class Accepted extends Watched {
  readonly socket: Socket;
  readonly heard: Heard[] = [];
  readonly handlers: SocketHandlers;

  constructor(socket: Socket, onHeard: (heard: Heard, socket: Socket) => void) {
    super();
    this.socket = socket;
    const hear = (heard: Heard) => {
      this.heard.push(heard);
      onHeard(heard, socket);
      this.changed();
    };
    this.handlers = {
      // Bytes are lent: what is recorded is a copy.
      message: (message) => {
        hear({ type: 'message', message: typeof message === 'string' ? message : Buffer.from(message) });
      },
      pong: () => hear({ type: 'pong' }),
      drain: () => hear({ type: 'drain' }),
      close: (code) => hear({ type: 'close', code }),
    };
  }

  count(type: Heard['type']): number {
    return this.heard.filter((heard) => heard.type === type).length;
  }

  messages(): (Uint8Array | string)[] {
    return this.heard.flatMap((heard) => (heard.type === 'message' ? [heard.message] : []));
  }

  /** Every close that was reported: one, unless something is wrong. */
  closeCodes(): number[] {
    return this.heard.flatMap((heard) => (heard.type === 'close' ? [heard.code] : []));
  }

  async closed(): Promise<number[]> {
    await this.until(() => this.count('close') > 0);
    return this.closeCodes();
  }
}

export interface Behaviour extends Partial<TransportOptions> {
  readonly decide?: (request: UpgradeRequest) => UpgradeDecision;
  /** Within `accept`, before it returns. */
  readonly onAccept?: (socket: Socket) => void;
  /** Within the callback. */
  readonly onHeard?: (heard: Heard, socket: Socket) => void;
}

export class Listening extends Watched {
  readonly transport: Transport;
  readonly requests: UpgradeRequest[];
  readonly #accepted: Accepted[];
  #taken = 0;

  constructor(transport: Transport, accepted: Accepted[], requests: UpgradeRequest[]) {
    super();
    this.transport = transport;
    this.requests = requests;
    this.#accepted = accepted;
  }

  get port(): number {
    return this.transport.port;
  }

  get acceptedCount(): number {
    return this.#accepted.length;
  }

  /** The server's end of the connection that was accepted next. */
  async accepted(): Promise<Accepted> {
    const index = this.#taken++;
    await this.until(() => this.#accepted.length > index);
    return this.#accepted[index]!;
  }

  /** A peer and our end of it. */
  async pair(options: ClientOptions = {}): Promise<{ peer: Peer; server: Accepted }> {
    const [peer, server] = await Promise.all([
      Peer.connect(`ws://127.0.0.1:${this.port}`, [], options),
      this.accepted(),
    ]);
    return { peer, server };
  }

  /** A peer under our hands byte by byte, its upgrade done, and our end of it. */
  async rawPair(): Promise<{ raw: RawPeer; server: Accepted }> {
    const raw = await RawPeer.connect(this.port);
    raw.write(handshake(this.port));
    await raw.until(() => raw.text().includes('\r\n\r\n'));
    raw.received = [];
    return { raw, server: await this.accepted() };
  }
}

/** Opens a transport that takes every peer and is closed with the test. */
export async function listening(open: OpenTransport, behaviour: Behaviour = {}): Promise<Listening> {
  const { decide = () => ({ accept: true, subprotocol: '' }), onAccept, onHeard = () => {}, ...overrides } = behaviour;
  const accepted: Accepted[] = [];
  const requests: UpgradeRequest[] = [];
  let opened: Listening | undefined;
  const transport = await open({
    host: '127.0.0.1',
    port: 0,
    messageBytesMax: MESSAGE_BYTES_MAX,
    handshakeTimeoutMs: 20_000,
    closeTimeoutMs: 20_000,
    setTimer(delayMs, callback) {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
    defer: (callback) => void setImmediate(callback),
    decideUpgrade(request) {
      requests.push(request);
      return decide(request);
    },
    accept(socket) {
      const end = new Accepted(socket, onHeard);
      accepted.push(end);
      onAccept?.(socket);
      opened?.changed();
      return end.handlers;
    },
    ...overrides,
  });
  onTestFinished(() => transport.close());
  opened = new Listening(transport, accepted, requests);
  return opened;
}

/** A WebSocket client. */
export class Peer extends Watched {
  readonly client: WebSocket;
  readonly messages: (Buffer | string)[] = [];
  readonly pongs: string[] = [];
  close: { readonly code: number; readonly reason: string } | undefined;

  constructor(client: WebSocket) {
    super();
    this.client = client;
    client.on('error', () => {});
    client.on('message', (data, isBinary) => {
      const bytes = data as Buffer;
      this.messages.push(isBinary ? bytes : bytes.toString());
      this.changed();
    });
    client.on('pong', (data) => {
      this.pongs.push(data.toString());
      this.changed();
    });
    client.on('close', (code, reason) => {
      this.close = { code, reason: reason.toString() };
      this.changed();
    });
    onTestFinished(() => client.terminate());
  }

  static async connect(url: string, subprotocols: string[] = [], options: ClientOptions = {}): Promise<Peer> {
    const peer = new Peer(new WebSocket(url, subprotocols, options));
    await once(peer.client, 'open');
    return peer;
  }

  async closed(): Promise<{ readonly code: number; readonly reason: string }> {
    await this.until(() => this.close !== undefined);
    return this.close!;
  }
}

/** A TCP connection that writes what no WebSocket library would. */
export class RawPeer extends Watched {
  readonly tcp: TcpSocket;
  received: Buffer[] = [];
  isClosed = false;

  constructor(tcp: TcpSocket) {
    super();
    this.tcp = tcp;
    tcp.on('error', () => {});
    tcp.on('data', (chunk) => {
      this.received.push(chunk);
      this.changed();
    });
    tcp.on('close', () => {
      this.isClosed = true;
      this.changed();
    });
    onTestFinished(() => {
      tcp.destroy();
    });
  }

  static async connect(port: number, host = '127.0.0.1'): Promise<RawPeer> {
    const raw = new RawPeer(connectTcp(port, host));
    await once(raw.tcp, 'connect');
    return raw;
  }

  write(bytes: string | Uint8Array): void {
    this.tcp.write(bytes);
  }

  /** All that has come so far. */
  bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  text(): string {
    return this.bytes().toString('latin1');
  }

  closed(): Promise<void> {
    return this.until(() => this.isClosed);
  }
}

/** A port that nobody listens on: one given is treated otherwise than one that the system chooses. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** A well-formed handshake; each entry of `headers` replaces one of it, `undefined` leaves it out. */
export function handshake(port: number, headers: Record<string, string | undefined> = {}): string {
  const all: Record<string, string | undefined> = {
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': Buffer.from('0123456789abcdef').toString('base64'),
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]));
  return `GET / HTTP/1.1\r\n${lines.join('')}\r\n`;
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9 } as const;

/** One frame as a client sends it, its mask all zeros. */
export function clientFrame(opcode: number, payload: string | Uint8Array, isFinal = true): Buffer {
  const body = Buffer.from(payload);
  const length =
    body.length < 126
      ? [0x80 | body.length]
      : body.length < 65_536
        ? [0xfe, body.length >> 8, body.length & 0xff]
        : [0xff, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (body.length >>> shift) & 0xff)];
  return Buffer.concat([Buffer.from([(isFinal ? 0x80 : 0) | opcode, ...length, 0, 0, 0, 0]), body]);
}
