/**
 * One connection of the load: raw TCP, and lanes that each take turns at acquiring and releasing. All connections read into
 * one buffer and write from one, which is all the work that node:net lets us save: answers are looked at where they stand,
 * and what they lead to leaves in one write. A class for each protocol knows the bytes.
 */
import { connect, type Socket } from 'node:net';
import type { Histogram } from './histogram.ts';

export const IDLE = 0;
export const ACQUIRING = 1;
export const RELEASING = 2;

const READ_BYTES = 256 * 1024;
const WRITE_BYTES = 64 * 1024;
/** Shared: a read is used up before the next one is made. */
const readBuffer = Buffer.allocUnsafe(READ_BYTES);
/** Shared: a write has left before the next one begins, see flush. */
const writeBuffer = Buffer.allocUnsafe(WRITE_BYTES);

/** What all sessions of a load share. */
export interface Load {
  readonly acquired: Histogram;
  readonly released: Histogram;
  /** When the bytes arrived that are being looked at. */
  nowMs: number;
  isCounting: boolean;
  /** No lane acquires any more. */
  isEnding: boolean;
  /** Lanes that wait for an answer. */
  busyLanes: number;
  /** Ends the run: no operation that failed is ever counted. */
  readonly fail: (error: Error) => void;
}

export abstract class Session {
  protected readonly phases: Uint8Array;
  readonly inFlight: number;
  readonly #sentMs: Float64Array;
  readonly #load: Load;
  readonly #port: number;
  #socket: Socket | undefined;
  #carried: Buffer | undefined;
  #isEnded = false;
  /** Where the requests end that are to be written. */
  #end = 0;
  #onReady: (() => void) | undefined;

  constructor(load: Load, port: number, inFlight: number) {
    this.#load = load;
    this.#port = port;
    this.inFlight = inFlight;
    this.phases = new Uint8Array(inFlight);
    this.#sentMs = new Float64Array(inFlight);
  }

  /** What is sent on connecting. */
  protected abstract greeting(): Uint8Array;
  /** Looks at an answer to the greeting; `ready` when there is nothing more to come. Returns how far it has read. */
  protected abstract takeGreeting(bytes: Buffer, end: number): number;
  /** Looks at what has arrived, `answered` for each answer. Returns how far it has read: the rest comes again, longer. */
  protected abstract take(bytes: Buffer, end: number): number;
  /** Writes a request into `out` at `at`, and returns its end. */
  protected abstract writeAcquire(lane: number, out: Buffer, at: number): number;
  protected abstract writeRelease(lane: number, out: Buffer, at: number): number;
  /** Where requests begin in `out`: what goes in front of them may be written by `wrap`. */
  protected readonly headRoom: number = 0;
  /** Completes the bytes from `headRoom` to `end`; returns where they begin. */
  protected wrap(_out: Buffer, _end: number): number {
    return this.headRoom;
  }

  /** Connects and greets. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#onReady = resolve;
      const onread = {
        buffer: readBuffer,
        callback: (length: number, bytes: Uint8Array) => this.#read(length, bytes as Buffer),
      };
      const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true, onread });
      socket.on('connect', () => socket.write(this.greeting()));
      socket.on('error', (error) => this.#isEnded || this.fail(error));
      socket.on('close', () => this.#isEnded || this.fail(new Error('the connection was closed')));
      this.#socket = socket;
    });
  }

  /** Acquires on every lane. */
  start(): void {
    this.#load.nowMs = performance.now();
    this.#end = this.headRoom;
    for (let lane = 0; lane < this.inFlight; lane += 1) this.#acquire(lane);
    this.#flush();
  }

  close(): void {
    this.#isEnded = true;
    this.#socket?.destroy();
  }

  protected ready(): void {
    this.#onReady?.();
    this.#onReady = undefined;
  }

  protected fail(error: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#load.fail(error);
  }

  /** Something beside requests: a pong. */
  protected send(bytes: Uint8Array): void {
    this.#socket!.write(bytes);
  }

  /** The request of a lane was answered, and well: the lane goes on. */
  protected answered(lane: number): void {
    const load = this.#load;
    const isAcquired = this.phases[lane] === ACQUIRING;
    if (load.isCounting) (isAcquired ? load.acquired : load.released).record(load.nowMs - this.#sentMs[lane]!);
    load.busyLanes -= 1;
    if (isAcquired) this.#release(lane);
    else if (load.isEnding) this.phases[lane] = IDLE;
    else this.#acquire(lane);
  }

  #acquire(lane: number): void {
    this.phases[lane] = ACQUIRING;
    this.#end = this.writeAcquire(lane, writeBuffer, this.#end);
    this.#sent(lane);
  }

  #release(lane: number): void {
    this.phases[lane] = RELEASING;
    this.#end = this.writeRelease(lane, writeBuffer, this.#end);
    this.#sent(lane);
  }

  #sent(lane: number): void {
    this.#sentMs[lane] = this.#load.nowMs;
    this.#load.busyLanes += 1;
  }

  #flush(): void {
    if (this.#end === this.headRoom) return;
    const socket = this.#socket!;
    socket.write(writeBuffer.subarray(this.wrap(writeBuffer, this.#end), this.#end));
    // What is in flight on a connection is far less than the kernel takes, so a write leaves at once.
    if (socket.writableLength > 0) this.fail(new Error('a write did not leave at once'));
  }

  #read(length: number, arrived: Buffer): boolean {
    if (this.#isEnded) return false;
    this.#load.nowMs = performance.now();
    this.#end = this.headRoom;
    let bytes = arrived;
    let end = length;
    if (this.#carried) {
      bytes = Buffer.concat([this.#carried, arrived.subarray(0, length)]);
      end = bytes.length;
      this.#carried = undefined;
    }
    const taken = this.#onReady === undefined ? this.take(bytes, end) : this.takeGreeting(bytes, end);
    if (taken < end) this.#carried = Buffer.from(bytes.subarray(taken, end));
    if (!this.#isEnded) this.#flush();
    return true;
  }
}
