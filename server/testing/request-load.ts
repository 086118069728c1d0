/**
 * A load of acquires and releases for measuring latency beside something else: closed, each session sends its next
 * request when the last is answered; or open, requests leave at a fixed rate whatever becomes of the others. Run in a
 * process of its own; what it measured goes to the parent as messages.
 */
import { WebSocket } from 'ws';
import { msgpackCodec } from '../../protocol/codec.ts';
import type { CollectorFrame, CoordinatorFrame } from '../../protocol/frames.ts';

export interface LoadOptions {
  readonly port: number;
  readonly sessions: number;
  readonly resources: number;
  /** Cycles of acquire and release that begin in a second; absent: a closed loop. */
  readonly cyclesPerSecond?: number;
  /** Instead: each session acquires as fast as it can, and keeps what it gets, until there are so many leases. */
  readonly leases?: number;
}

/** Of one request: when it was sent, ms since 1970 with fractions, and after how long it was answered. */
export type Sample = readonly [sentAtMs: number, tookMs: number];

const TTL_MS = 600_000;
const REPORT_EVERY_MS = 500;
/** Ticks of the open loop. */
const TICK_MS = 1;

class LoadSession {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (frame: CoordinatorFrame) => void>();
  #lastId = 0;

  static async open(port: number): Promise<LoadSession> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, msgpackCodec.subprotocol, { perMessageDeflate: false });
    await new Promise((done, failed) => socket.once('open', done).once('error', failed));
    const session = new LoadSession(socket);
    await session.request({ type: 'hello', protocol: 1 });
    return session;
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('close', () => {
      throw new Error('the coordinator has gone');
    });
    socket.on('message', (data: Buffer) => {
      const decoded = msgpackCodec.decode(data);
      if (!decoded.ok) throw new Error('an answer that is no frame');
      const frame = decoded.value as CoordinatorFrame & { readonly id?: number };
      const take = this.#answers.get(frame.id ?? 0);
      if (!take) return;
      this.#answers.delete(frame.id ?? 0);
      take(frame);
    });
  }

  request(frame: Record<string, unknown>): Promise<CoordinatorFrame> {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#socket.send(msgpackCodec.encode({ ...frame, id } as unknown as CollectorFrame));
    return new Promise((done) => this.#answers.set(id, done));
  }
}

/** Loads until the process ends; or until there are `leases`: the sessions stay, to hold them. */
export async function runLoad(options: LoadOptions, report: (samples: readonly Sample[]) => void): Promise<void> {
  const { port, sessions: count, resources, cyclesPerSecond, leases } = options;
  let samples: Sample[] = [];
  const timed = async (session: LoadSession, frame: Record<string, unknown>) => {
    const sentMs = performance.now();
    const answer = await session.request(frame);
    samples.push([performance.timeOrigin + sentMs, performance.now() - sentMs]);
    return answer;
  };
  let acquired = 0;
  const acquire = async (session: LoadSession) => {
    acquired += 1;
    const granted = await timed(session, { type: 'acquire', resource: 1 + (acquired % resources), ttl_ms: TTL_MS });
    if (granted.type !== 'granted' || !('lease' in granted)) throw new Error(`an acquire is answered ${granted.type}`);
    return granted.lease;
  };
  const cycle = async (session: LoadSession) => {
    const lease = await acquire(session);
    const released = await timed(session, { type: 'release', lease });
    if (released.type !== 'released') throw new Error(`a release is answered ${released.type}`);
  };
  const sessions = await Promise.all(Array.from({ length: count }, () => LoadSession.open(port)));
  setInterval(() => {
    report(samples);
    samples = [];
  }, REPORT_EVERY_MS);
  if (leases !== undefined) {
    await Promise.all(
      sessions.map(async (session) => {
        while (acquired < leases) await acquire(session);
      }),
    );
    return;
  }
  if (cyclesPerSecond === undefined) {
    await Promise.all(
      sessions.map(async (session) => {
        while (true) await cycle(session);
      }),
    );
    return;
  }
  const startMs = performance.now();
  let begun = 0;
  setInterval(() => {
    const due = ((performance.now() - startMs) / 1_000) * cyclesPerSecond;
    for (; begun < due; begun += 1) void cycle(sessions[begun % count]!);
  }, TICK_MS);
}
