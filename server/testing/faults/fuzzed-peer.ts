import type { Codec } from '../../../protocol/codec.ts';
import { CLOSE } from '../../../protocol/codes.ts';
import type { CollectorFrame, CoordinatorFrame } from '../../../protocol/frames.ts';
import { parseCoordinatorFrame } from '../../../protocol/frames.ts';
import { BATCH_FRAMES_MAX } from '../../../protocol/limits.ts';
import type { SessionHub } from '../../sessions/session-hub.ts';
import type { Socket, SocketHandlers } from '../../sessions/socket.ts';
import type { Known } from './fuzzed-messages.ts';

/** Tokens and ids that a peer remembers, the newest. */
const KNOWN_MAX = 16;
/** One frame in so many is held to its schema. */
const PARSE_EVERY = 4;

/** The peer's end of a socket that is sent anything, and holds each answer to what was sent. */
export class FuzzedPeer implements Known {
  readonly codec: Codec;
  readonly isBatch: boolean;
  readonly tokens: number[] = [];
  readonly asked: number[] = [];
  closed: number | undefined;
  /** What came that shouldn't have. */
  fault: string | undefined;
  readonly #handlers: SocketHandlers;
  #lastId = 1;
  #frameCount = 0;
  /** Frames sent so far that are to be answered, and answers that came. */
  #owed = 0;
  /** Ids of requests that stand in line: what comes for them answers nothing new. */
  readonly #waiting = new Set<number>();
  /** Ids that were used: where one comes again, nobody can tell what an answer to it answers. */
  readonly #used = new Set<number>();
  #isAmbiguous = false;

  constructor(hub: SessionHub, codec: Codec, hello: { readonly batch: boolean; readonly resume_window_ms: number }) {
    this.codec = codec;
    this.isBatch = hello.batch;
    const socket: Socket = {
      remoteAddress: '127.0.0.1',
      caller: undefined,
      subprotocol: codec.subprotocol,
      send: (message) => {
        this.#receive(message);
        return 0;
      },
      bufferedAmount: () => 0,
      ping: () => this.#handlers.pong(),
      close: (code) => this.#close(code),
      terminate: () => this.#close(1006),
    };
    this.#handlers = hub.accept(socket);
    this.send(codec.encode({ type: 'hello', id: 1, protocol: 1, ...hello } as CollectorFrame));
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** Returns how many frames are in it, or might be. */
  send(message: Uint8Array | string): number {
    const count = this.#owe(message);
    this.#handlers.message(message);
    return count;
  }

  /** Once all has been done that there was to do: each frame is answered, or the socket closed with a code of ours. */
  mustBeAnswered(): void {
    if (this.closed !== undefined) {
      const isOurs = Object.values(CLOSE).includes(this.closed as never);
      if (!isOurs) this.fault ??= `closed with ${this.closed}`;
    } else if (this.#owed !== 0 && !this.#isAmbiguous) {
      this.fault ??= this.#owed > 0 ? `${this.#owed} frames are not answered` : `${-this.#owed} answers too many`;
    }
  }

  /** How many answers a message is to have, as PROTOCOL.md has it. One that is no frame closes the socket. */
  #owe(message: Uint8Array | string): number {
    const decoded = this.codec.decode(message);
    if (!decoded.ok) return 1;
    const { value } = decoded;
    const isMany = Array.isArray(value);
    const isTaken = isMany && this.isBatch && value.length > 0 && value.length <= BATCH_FRAMES_MAX;
    for (const frame of isTaken ? value : isMany ? [] : [value]) this.#note(frame);
    const count = isTaken ? value.length : 1;
    this.#owed += count;
    return count;
  }

  #note(frame: unknown): void {
    const { type, id } = (frame ?? {}) as { type?: unknown; id?: unknown };
    if (typeof id !== 'number') return;
    if (this.#used.has(id)) this.#isAmbiguous = true;
    this.#used.add(id);
    if (type === 'acquire') keep(this.asked, id);
  }

  #receive(message: Uint8Array | string): void {
    const decoded = this.codec.decode(message);
    if (!decoded.ok) {
      this.fault ??= `no frame: ${decoded.message}`;
      return;
    }
    for (const frame of (Array.isArray(decoded.value) ? decoded.value : [decoded.value]) as CoordinatorFrame[]) {
      this.#take(frame);
    }
  }

  #take(frame: CoordinatorFrame): void {
    this.#frameCount += 1;
    if (this.#frameCount % PARSE_EVERY === 0) {
      const parsed = parseCoordinatorFrame(frame);
      if (!parsed.ok) this.fault ??= `${frame.type}: ${parsed.fault.message}`;
    }
    const id = 'id' in frame ? frame.id : undefined;
    if (id === undefined && frame.type !== 'error') return;
    if (frame.type === 'granted') {
      for (const { lease } of 'leases' in frame ? frame.leases : [frame]) keep(this.tokens, lease);
    }
    // A place in line that has changed, or the end of the wait.
    if (id !== undefined && this.#waiting.has(id)) {
      if (frame.type !== 'queued') this.#waiting.delete(id);
      return;
    }
    if (id !== undefined && frame.type === 'queued') this.#waiting.add(id);
    if (id !== undefined && !this.#used.has(id)) this.fault ??= `${frame.type} answers ${id}, which was never asked`;
    this.#owed -= 1;
  }

  #close(code: number): void {
    if (this.closed !== undefined) return;
    this.closed = code;
    queueMicrotask(() => this.#handlers.close(code));
  }
}

function keep(list: number[], value: number): void {
  list.push(value);
  if (list.length > KNOWN_MAX) list.shift();
}
