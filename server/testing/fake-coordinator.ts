/** A coordinator that says what a test of the client library tells it to, and the client's side of such a test. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { type Client, type ClientEvents, type ConnectOptions, connect, type Lease } from '../../protocol/client.ts';
import { type Codec, codecFor } from '../../protocol/codec.ts';
import {
  type CollectorFrame,
  type CoordinatorFrame,
  type Grant,
  parseCollectorFrame,
  type WelcomeFrame,
} from '../../protocol/frames.ts';

type Sent<Type extends CollectorFrame['type']> = Extract<CollectorFrame, { type: Type }>;

export const NEVER_MS = 3_600_000;
export const WELCOME = {
  session: 's1',
  secret: 'secret of s1',
  epoch: 1,
  heartbeat_ms: NEVER_MS,
  resumed: false,
  leases: [],
  waiting: [],
  ended: [],
  limits: {
    frame_bytes_max: 65_536,
    message_bytes_max: 1_048_576,
    ttl_min_ms: 1,
    ttl_max_ms: 1e9,
    resume_window_ms: 0,
  },
} satisfies Omit<WelcomeFrame, 'type' | 'id'>;

export class Peer {
  readonly #socket: WebSocket;
  readonly #codec: Codec;
  readonly #unread: CollectorFrame[] = [];
  readonly #wakers: (() => void)[] = [];
  /** Close code, once closed. */
  readonly closed: Promise<number>;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    this.#codec = codecFor(socket.protocol);
    this.closed = once(socket, 'close').then(([code]) => code as number);
    socket.on('message', (data: RawData, isBinary) => {
      const decoded = this.#codec.decode(isBinary ? (data as Buffer) : (data as Buffer).toString());
      const parsed = decoded.ok ? parseCollectorFrame(decoded.value) : undefined;
      if (!parsed?.ok) throw new Error(`the client sent no frame: ${JSON.stringify(parsed ?? decoded)}`);
      this.#unread.push(parsed.frame);
      for (const wake of this.#wakers.splice(0)) wake();
    });
  }

  /** The next frame of this type, now or when it comes; those of other types stay unread. */
  async next<Type extends CollectorFrame['type']>(type: Type): Promise<Sent<Type>> {
    while (true) {
      const index = this.#unread.findIndex((frame) => frame.type === type);
      if (index >= 0) return this.#unread.splice(index, 1)[0] as Sent<Type>;
      await new Promise<void>((resolve) => {
        this.#wakers.push(resolve);
      });
    }
  }

  unread(type: CollectorFrame['type']): readonly CollectorFrame[] {
    return this.#unread.filter((frame) => frame.type === type);
  }

  send(...frames: readonly CoordinatorFrame[]): void {
    for (const frame of frames) this.#socket.send(this.#codec.encode(frame));
  }

  sendRaw(data: Buffer | string): void {
    this.#socket.send(data);
  }

  close(code: number): void {
    this.#socket.close(code);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  async welcome(fields: Partial<WelcomeFrame> = {}): Promise<Sent<'hello'>> {
    const hello = await this.next('hello');
    this.send({ type: 'welcome', id: hello.id, ...WELCOME, ...fields });
    return hello;
  }
}

export class FakeCoordinator {
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #peers: Peer[] = [];
  #wake = () => {};
  /** Handshakes seen, refused ones too. */
  upgrades = 0;

  private constructor(http: Server, refuseWith: number | undefined) {
    this.#http = http;
    this.#sockets = new WebSocketServer({
      server: http,
      verifyClient: (_info, answer: (accept: boolean, status?: number) => void) => {
        this.upgrades += 1;
        if (refuseWith === undefined) answer(true);
        else answer(false, refuseWith);
      },
    });
    this.#sockets.on('connection', (socket) => {
      this.#peers.push(new Peer(socket));
      this.#wake();
    });
  }

  static async listen(refuseWith?: number, port = 0): Promise<FakeCoordinator> {
    const http = createServer();
    const coordinator = new FakeCoordinator(http, refuseWith);
    http.listen(port, '127.0.0.1');
    await once(http, 'listening');
    cleanups.push(() => coordinator.stop());
    return coordinator;
  }

  get port() {
    return (this.#http.address() as AddressInfo).port;
  }

  get url() {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** The next connection, now or when it comes. */
  async peer(): Promise<Peer> {
    while (true) {
      const peer = this.#peers.shift();
      if (peer) return peer;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    if (!this.#http.listening) return;
    this.#http.close();
    await once(this.#http, 'close');
  }
}

export const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Both clocks in the test's hand. Real timers go on, so nothing is due by itself in the life of a test. */
export function handClock() {
  const clock = { monoMs: 1_000, wallMs: 1_700_000_000_000 };
  return {
    options: { now: () => clock.monoMs, wallNow: () => clock.wallMs },
    advance(ms: number) {
      clock.monoMs += ms;
      clock.wallMs += ms;
    },
    setWall(ms: number) {
      clock.wallMs += ms;
    },
  };
}

export const FAST = { minMs: 1, maxMs: 5 };

export async function session(options: Partial<ConnectOptions> = {}, welcome: Partial<WelcomeFrame> = {}) {
  const coordinator = await FakeCoordinator.listen();
  const connecting = connect({ url: coordinator.url, reconnect: FAST, ...options });
  const peer = await coordinator.peer();
  const hello = await peer.welcome(welcome);
  const client = await connecting;
  cleanups.push(() => client.close());
  return { coordinator, peer, hello, client };
}

export const grantOf = (lease: number, fields: Partial<Grant> = {}): Grant => ({
  lease,
  resource: 7,
  address: { address: '10.0.0.1:8080', country: 'US', rpw: 12, resource_ids: [7], vendor: 'acme' },
  ttl_ms: 30_000,
  ...fields,
});

export async function leaseOf(
  client: Client,
  peer: Peer,
  token: number,
  fields: Partial<Grant> = {},
  options: { autoRenew?: boolean; key?: string } = {},
): Promise<Lease> {
  const acquiring = client.acquire({ resource: 7, ttlMs: fields.ttl_ms ?? 30_000, ...options });
  const { id } = await peer.next('acquire');
  peer.send({ type: 'granted', id, ...grantOf(token, fields) });
  return acquiring;
}

export function event<Name extends keyof ClientEvents>(client: Client, name: Name): Promise<ClientEvents[Name]> {
  return new Promise((resolve) => {
    const stop = client.on(name, (value) => {
      stop();
      resolve(value);
    });
  });
}

/** Everything that the coordinator had sent before has been taken in. */
export async function settled(client: Client, peer: Peer): Promise<void> {
  const pinging = client.ping();
  peer.send({ type: 'pong', id: (await peer.next('ping')).id });
  await pinging;
}
