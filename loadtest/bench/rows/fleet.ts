/** Many sessions in this process, each on a socket of its own, that all tell one listener what they hear. */
import { WebSocket } from 'ws';
import { msgpackCodec } from '../../../protocol/codec.ts';
import type { CollectorFrame, CoordinatorFrame } from '../../../protocol/frames.ts';
import { type Failures, inFlight, within } from './figures.ts';

/** A frame without its `id`, which the session gives it. */
export type Request = { readonly type: CollectorFrame['type'] } & Readonly<Record<string, unknown>>;

/** As it arrives: which frame it is, its `type` says. */
export type Heard = CoordinatorFrame & { readonly id?: number };

export interface FleetOptions {
  readonly port: number;
  readonly sessions: number;
  readonly failures: Failures;
  /** Beside type, id and protocol. */
  readonly hello?: Readonly<Record<string, unknown>>;
  /** Of what no request waits for. */
  readonly onFrame?: (frame: Heard, session: FleetSession) => void;
}

const CONNECTING_AT_ONCE = 100;
const ANSWER_MS_MAX = 60_000;

export class FleetSession {
  readonly index: number;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (frame: Heard) => void>();
  #lastId = 0;

  static async open(index: number, options: FleetOptions): Promise<FleetSession> {
    const url = `ws://127.0.0.1:${options.port}`;
    const socket = new WebSocket(url, msgpackCodec.subprotocol, { perMessageDeflate: false });
    await new Promise((done, fail) => socket.once('open', done).once('error', fail));
    const session = new FleetSession(index, socket, options);
    const welcome = await session.request({ type: 'hello', protocol: 1, ...options.hello });
    if (welcome.type !== 'welcome') throw new Error(`hello is answered ${JSON.stringify(welcome)}`);
    return session;
  }

  private constructor(index: number, socket: WebSocket, { failures, onFrame }: FleetOptions) {
    this.index = index;
    this.#socket = socket;
    const hear = (frame: Heard) => {
      const take = frame.id === undefined ? undefined : this.#waiting.get(frame.id);
      if (take) {
        this.#waiting.delete(frame.id!);
        take(frame);
      } else onFrame?.(frame, this);
    };
    socket.on('message', (data: Buffer) => {
      const decoded = msgpackCodec.decode(data);
      if (!decoded.ok) return failures.add(`no frame: ${decoded.message}`);
      if (Array.isArray(decoded.value)) for (const frame of decoded.value as Heard[]) hear(frame);
      else hear(decoded.value as Heard);
    });
    socket.on('error', () => {});
    socket.on('close', (code) => {
      if (!this.isClosing) failures.add(`session lost, closed with ${code}`);
    });
  }

  isClosing = false;

  /** The answer of one that is answered once. */
  request(frame: Request): Promise<Heard> {
    return new Promise((done) => this.#waiting.set(this.send(frame), done));
  }

  /** The answer is told to the listener. */
  send(frame: Request): number {
    this.#lastId += 1;
    this.#socket.send(msgpackCodec.encode({ ...frame, id: this.#lastId } as unknown as CollectorFrame));
    return this.#lastId;
  }

  /** One message of several frames; the session has said `batch`. Answers come in their order, under any number of messages. */
  requestAll(frames: readonly Request[]): Promise<Heard[]> {
    const sent = frames.map((frame) => ({ ...frame, id: (this.#lastId += 1) }));
    const answers = Promise.all(sent.map(({ id }) => new Promise<Heard>((done) => this.#waiting.set(id, done))));
    this.#socket.send(msgpackCodec.encode(sent as unknown as CollectorFrame[]));
    return within('the answers to a batch', ANSWER_MS_MAX, answers);
  }

  async close(): Promise<void> {
    this.isClosing = true;
    const closed = new Promise((done) => this.#socket.once('close', done));
    this.#socket.close(1000);
    await closed;
  }

  /** Without waiting for what the coordinator says to it. */
  terminate(): void {
    this.isClosing = true;
    this.#socket.terminate();
  }
}

/** Opens them all, runs `use`, and closes them. */
export async function withFleet<Value>(
  options: FleetOptions,
  use: (sessions: readonly FleetSession[]) => Promise<Value>,
): Promise<Value> {
  const sessions: FleetSession[] = [];
  try {
    await inFlight(options.sessions, CONNECTING_AT_ONCE, async (index) => {
      sessions[index] = await FleetSession.open(index, options);
    });
    return await use(sessions);
  } finally {
    // Some may be missing where the opening itself failed.
    for (const session of sessions) session?.terminate();
  }
}
