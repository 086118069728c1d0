import { type ClientOptions, WebSocket } from 'ws';
import { type Codec, msgpackCodec } from '../../protocol/codec.ts';
import { type CollectorFrame, type CoordinatorFrame, parseCoordinatorFrame } from '../../protocol/frames.ts';

type FrameOf<Type extends CoordinatorFrame['type']> = Extract<CoordinatorFrame, { type: Type }>;
type WithoutId<Frame> = Frame extends { id?: number } ? Omit<Frame, 'id'> : Frame;

/** How long a test waits for a frame before it fails. */
const WAIT_MS = 10_000;

export interface UpgradeParts extends ClientOptions {
  /** Offered before that of the codec. */
  readonly subprotocols?: readonly string[];
}

/**
 * A plain client of the wire: sends frames, and checks every frame that it gets against its schema. It knows nothing of
 * reconnecting or deadlines, so that a test sees what really comes.
 */
export class WireClient {
  readonly frames: CoordinatorFrame[] = [];
  /** Code and reason, once the socket is closed. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #socket: WebSocket;
  readonly #codec: Codec;
  readonly #waiters = new Set<() => void>();
  #lastId = 0;
  #fault: Error | undefined;

  private constructor(socket: WebSocket, codec: Codec) {
    this.#socket = socket;
    this.#codec = codec;
    socket.on('message', (data: Buffer, isBinary) => this.#take(isBinary ? data : data.toString()));
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        for (const wake of this.#waiters) wake();
      });
    });
    socket.on('error', () => {});
  }

  static open(port: number, codec: Codec = msgpackCodec, upgrade: UpgradeParts = {}): Promise<WireClient> {
    return WireClient.openAt(`ws://127.0.0.1:${port}`, upgrade, codec);
  }

  /** Rejects with the HTTP status in its message where the upgrade is refused. */
  static async openAt(url: string, upgrade: UpgradeParts, codec: Codec = msgpackCodec): Promise<WireClient> {
    const { subprotocols = [], ...options } = upgrade;
    const offered = [...subprotocols, codec.subprotocol];
    const socket = new WebSocket(url, offered, { perMessageDeflate: false, ...options });
    const client = new WireClient(socket, codec);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  /** Opens a socket and a session on it. */
  static async hello(port: number, fields: object = {}, codec: Codec = msgpackCodec) {
    const client = await WireClient.open(port, codec);
    const welcome = await client.request({ type: 'hello', protocol: 1, ...fields }, 'welcome');
    return { client, welcome };
  }

  /** Sends a frame with an id of its own and waits for the answer, which must be of `type`. */
  async request<Type extends CoordinatorFrame['type']>(
    frame: WithoutId<CollectorFrame> | Record<string, unknown>,
    type: Type,
  ): Promise<FrameOf<Type>> {
    const id = this.send(frame);
    const answer = await this.next((it) => 'id' in it && it.id === id, `answer to ${JSON.stringify(frame)}`);
    if (answer.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(answer)}`);
    return answer as FrameOf<Type>;
  }

  /** Sends a frame with an id of its own, which it returns. */
  send(frame: WithoutId<CollectorFrame> | Record<string, unknown>): number {
    this.#lastId += 1;
    this.sendMessage(this.#codec.encode({ ...frame, id: this.#lastId } as CollectorFrame));
    return this.#lastId;
  }

  /** Sends what it is given: bytes as a binary message, a string as text. */
  sendMessage(message: Uint8Array | string): void {
    this.#socket.send(message);
  }

  /** The first frame, already there or still to come, that `matches`; it is taken out. */
  async next(matches: (frame: CoordinatorFrame) => boolean, what = 'a frame'): Promise<CoordinatorFrame> {
    const deadlineMs = Date.now() + WAIT_MS;
    while (true) {
      if (this.#fault) throw this.#fault;
      const index = this.frames.findIndex(matches);
      if (index >= 0) return this.frames.splice(index, 1)[0]!;
      if (this.#socket.readyState === WebSocket.CLOSED) throw new Error(`closed while waiting for ${what}`);
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${what} in ${WAIT_MS} ms`)), deadlineMs - Date.now());
        const wake = () => {
          clearTimeout(timer);
          this.#waiters.delete(wake);
          resolve();
        };
        this.#waiters.add(wake);
      });
    }
  }

  async push<Type extends CoordinatorFrame['type']>(type: Type): Promise<FrameOf<Type>> {
    return (await this.next((frame) => frame.type === type, type)) as FrameOf<Type>;
  }

  /** Stops reading from the socket: a slow reader. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  async close(code = 1000): Promise<void> {
    this.#socket.close(code);
    await this.closed;
  }

  /** Drops the connection without a closing handshake. */
  async terminate(): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }

  #take(message: Uint8Array | string): void {
    const decoded = this.#codec.decode(message);
    const values =
      decoded.ok && Array.isArray(decoded.value) ? decoded.value : [decoded.ok ? decoded.value : undefined];
    for (const value of values) {
      const parsed = parseCoordinatorFrame(value);
      if (parsed.ok) this.frames.push(parsed.frame);
      else this.#fault ??= new Error(`a faulty frame: ${parsed.fault.message} in ${JSON.stringify(value)}`);
    }
    for (const wake of this.#waiters) wake();
  }
}
