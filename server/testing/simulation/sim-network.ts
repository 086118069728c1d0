import { shouldReconnect } from '../../../protocol/codes.ts';
import type { Socket, SocketHandlers } from '../../sessions/socket.ts';
import type { Random } from './random.ts';
import type { SimProcess } from './sim-process.ts';
import type { Timeline } from './timeline.ts';
import type { Trace } from './trace.ts';

/** Bytes that the kernels on both sides take before anything counts as waiting. */
const KERNEL_BYTES = 500;
/** One message in so many takes far longer than the others. */
const SPIKE_CHANCE = 0.002;
const SPIKE_FACTOR = 40;
/** A closing handshake that takes so many times the usual way is cut off by the coordinator. */
const CLOSE_TIMEOUT_LATENCIES = 50;

/** What a client's WebSocket library calls. After `closed` nothing more. */
export interface ClientEnd {
  readonly process: SimProcess;
  opened(): void;
  message(message: Uint8Array | string): void;
  pinged(): void;
  closed(code: number): void;
}

/** Where connections arrive. */
export interface ServerEnd {
  readonly process: SimProcess;
  accept(connection: SimConnection): SocketHandlers;
}

/** Frames of one direction arrive in their order, or, from some moment on, not at all. */
interface Direction {
  lastMs: number;
  isLost: boolean;
}

export interface NetworkOptions {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly trace: Trace;
  readonly latencyMs: number;
  readonly heartbeatMs: number;
  /** The coordinator closes it with a code that says: come back. */
  onSentAway(connection: SimConnection): void;
  /** The coordinator takes a peer for dead that has answered whatever has reached it. */
  onWronglyDropped(connection: SimConnection): void;
}

export class SimNetwork {
  readonly options: NetworkOptions;
  /** Undefined while nobody listens. */
  listener: ServerEnd | undefined;
  /** Whose message the coordinator is just reading. */
  delivering: SimConnection | undefined;
  /** Neither spikes nor losses from now on. */
  isCalm = false;
  readonly #connections = new Set<SimConnection>();
  #connectionCount = 0;

  constructor(options: NetworkOptions) {
    this.options = options;
  }

  get closeTimeoutMs(): number {
    return this.options.latencyMs * CLOSE_TIMEOUT_LATENCIES;
  }

  connect(client: ClientEnd, subprotocol: string): SimConnection {
    this.#connectionCount += 1;
    const connection = new SimConnection(this, this.#connectionCount, client, subprotocol);
    this.#connections.add(connection);
    this.options.timeline.plan(this.latencyMs(), () => connection.knock(this.listener));
    return connection;
  }

  /** A process has died: its peers are told by its kernel, or, where the whole machine went, by nobody. */
  processDied(process: SimProcess, isSilent: boolean): void {
    for (const connection of this.#connections) connection.processDied(process, isSilent);
  }

  forget(connection: SimConnection): void {
    this.#connections.delete(connection);
  }

  latencyMs(): number {
    const { random, latencyMs } = this.options;
    const usualMs = latencyMs / 2 + random.exponential(latencyMs / 2);
    return !this.isCalm && random.chance(SPIKE_CHANCE) ? usualMs * SPIKE_FACTOR : usualMs;
  }

  /** Within which a peer that answers is not to be dropped. */
  get silenceMs(): number {
    return 2 * this.options.heartbeatMs;
  }
}

/** One connection; to the coordinator it is the socket. */
export class SimConnection implements Socket {
  readonly id: number;
  readonly remoteAddress: string;
  readonly caller = undefined;
  readonly subprotocol: string;
  readonly #network: SimNetwork;
  readonly #client: ClientEnd;
  #server: SimProcess | undefined;
  #handlers: SocketHandlers | undefined;
  readonly #toServer: Direction = { lastMs: 0, isLost: false };
  readonly #toClient: Direction = { lastMs: 0, isLost: false };
  /** The coordinator has begun to close. */
  #isClosing = false;
  #isServerEnded = false;
  #isClientEnded = false;
  /** When the last message arrives that took far longer than a heartbeat allows for. */
  #slowUntilMs = 0;
  /** Bytes sent to the client that it hasn't read. */
  #unreadBytes = 0;

  constructor(network: SimNetwork, id: number, client: ClientEnd, subprotocol: string) {
    this.id = id;
    this.remoteAddress = `10.1.0.${id % 250}`;
    this.subprotocol = subprotocol;
    this.#network = network;
    this.#client = client;
  }

  // ---- the socket's side

  send(lent: Uint8Array | string): number {
    if (this.#isClosing || this.#isServerEnded) return this.bufferedAmount();
    const message = typeof lent === 'string' ? lent : Uint8Array.from(lent);
    this.#unreadBytes += message.length;
    this.#deliver(this.#toClient, this.#client.process, () => {
      if (this.#isClientEnded) return;
      const wasFull = this.bufferedAmount() > 0;
      this.#unreadBytes -= message.length;
      if (wasFull && this.bufferedAmount() === 0) this.#toServerEnd(() => this.#handlers!.drain());
      this.#record('←', message);
      this.#client.message(message);
    });
    return this.bufferedAmount();
  }

  bufferedAmount(): number {
    return Math.max(0, this.#unreadBytes - KERNEL_BYTES);
  }

  ping(): void {
    if (this.#isClosing) return;
    this.#toClientEnd(() => {
      // The client's library answers by itself.
      this.#toServerEnd(() => this.#handlers!.pong());
      this.#client.pinged();
    });
  }

  close(code: number): void {
    if (this.#isClosing || this.#isServerEnded) return;
    this.#isClosing = true;
    if (shouldReconnect(code)) this.#network.options.onSentAway(this);
    this.#toClientEnd(() => {
      this.#deliver(this.#toServer, this.#server!, () => this.#endServer(code));
      this.#endClient(code);
    });
    this.#server!.plan('timer', this.#network.closeTimeoutMs, () => this.#endServer(1006));
  }

  terminate(): void {
    if (this.#isServerEnded) return;
    this.#isClosing = true;
    if (this.#answersAll) this.#network.options.onWronglyDropped(this);
    this.#toClientEnd(() => this.#endClient(1006));
    this.#server!.plan('input', 0, () => this.#endServer(1006));
  }

  // ---- the client's side

  sendToServer(message: Uint8Array | string): void {
    if (this.#isClientEnded) return;
    this.#toServerEnd(() => {
      this.#record('→', message);
      this.#network.delivering = this;
      this.#handlers!.message(message);
      this.#network.delivering = undefined;
    });
  }

  closeFromClient(code: number): void {
    if (this.#isClientEnded) return;
    this.#isClientEnded = true;
    if (this.#server) this.#deliver(this.#toServer, this.#server, () => this.#endServer(code));
    else this.#forgetIfOver();
  }

  // ---- the network's side

  /** The handshake arrives where somebody listens, or nobody. */
  knock(server: ServerEnd | undefined): void {
    if (this.#isClientEnded || this.#client.process.isDead) {
      this.#isServerEnded = true;
      return this.#forgetIfOver();
    }
    if (!server) {
      this.#isServerEnded = true;
      return this.#toClientEnd(() => this.#endClient(1006));
    }
    this.#server = server.process;
    this.#deliver(this.#toServer, server.process, () => {
      if (this.#isServerEnded) return;
      this.#toClientEnd(() => this.#client.opened());
      this.#handlers = server.accept(this);
    });
  }

  /** The connection breaks; each side learns it at its own time. What was under way may still arrive before. */
  cut(): void {
    this.loseSilently('both');
    const { random, latencyMs } = this.#network.options;
    const learnMs = () => random.exponential(latencyMs * 4);
    this.#server?.plan('input', learnMs(), () => this.#endServer(1006));
    this.#client.process.plan('input', learnMs(), () => this.#endClient(1006));
  }

  /** From now on everything is lost, and nobody is told: a half-open connection. */
  loseSilently(which: 'both' | 'toServer' | 'toClient'): void {
    if (which !== 'toClient') this.#toServer.isLost = true;
    if (which !== 'toServer') this.#toClient.isLost = true;
  }

  processDied(process: SimProcess, isSilent: boolean): void {
    if (process === this.#client.process) {
      this.#isClientEnded = true;
      if (!isSilent && this.#server) this.#deliver(this.#toServer, this.#server, () => this.#endServer(1006));
    } else if (process === this.#server) {
      this.#isServerEnded = true;
      if (!isSilent) this.#toClientEnd(() => this.#endClient(1006));
    }
    this.#forgetIfOver();
  }

  // ---- inside

  /** The peer is there, and nothing has kept back what it says for as long as it may be silent. */
  get #answersAll(): boolean {
    const { process } = this.#client;
    if (this.#isClientEnded || process.isDead || this.#toServer.isLost || this.#toClient.isLost) return false;
    const sinceSlowMs = this.#network.options.timeline.nowMs - this.#slowUntilMs;
    return Math.min(process.awakeMs, sinceSlowMs) > 2 * this.#network.silenceMs;
  }

  #toServerEnd(run: () => void): void {
    if (!this.#server) return;
    this.#deliver(this.#toServer, this.#server, () => {
      if (!this.#isServerEnded && !this.#isClosing) run();
    });
  }

  #toClientEnd(run: () => void): void {
    this.#deliver(this.#toClient, this.#client.process, () => {
      if (!this.#isClientEnded) run();
    });
  }

  #deliver(direction: Direction, process: SimProcess, run: () => void): void {
    if (direction.isLost || process.isDead) return;
    const { nowMs } = this.#network.options.timeline;
    direction.lastMs = Math.max(direction.lastMs, nowMs + this.#network.latencyMs());
    if (direction.lastMs - nowMs > this.#network.silenceMs / 8) this.#slowUntilMs = direction.lastMs;
    process.planAt('input', direction.lastMs, run);
  }

  #endServer(code: number): void {
    if (this.#isServerEnded) return;
    this.#isServerEnded = true;
    this.#handlers?.close(code);
    this.#forgetIfOver();
  }

  #endClient(code: number): void {
    if (this.#isClientEnded) return;
    this.#isClientEnded = true;
    this.#client.closed(code);
    this.#forgetIfOver();
  }

  #forgetIfOver(): void {
    if (this.#isServerEnded && this.#isClientEnded) this.#network.forget(this);
  }

  #record(arrow: string, message: Uint8Array | string): void {
    const { trace, timeline } = this.#network.options;
    trace.time(timeline.nowMs);
    trace.message(message);
    if (trace.isPrinted) {
      const text = typeof message === 'string' ? message : Buffer.from(message).toString('latin1');
      trace.print(`${timeline.nowMs.toFixed(3)} #${this.id} ${arrow} ${text.replace(/[^\x20-\x7e]/g, '·')}`);
    }
  }
}
