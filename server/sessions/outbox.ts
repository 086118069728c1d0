import { type Codec, msgpackCodec } from '../../protocol/codec.ts';
import { writeFrames } from '../../protocol/frame-writer.ts';
import type { CoordinatorFrame } from '../../protocol/frames.ts';
import { BATCH_FRAMES_MAX, MESSAGE_BYTES_MAX } from '../../protocol/limits.ts';
import type { Socket } from './socket.ts';

/** What leaves on one socket: frames as messages, and how much of it the peer hasn't taken. */
export class Outbox {
  readonly #socket: Socket;
  readonly #codec: Codec;
  readonly #bytesMax: number;
  /** Frames of a `batch` session that leave with the group of outputs under way. */
  #group: CoordinatorFrame[] = [];
  /** Of a `welcome` that is still on its way: however much a session holds, being told of it is not being slow. */
  #welcomeBytes = 0;

  /** `bytesMax`: as much may wait for the peer. */
  constructor(socket: Socket, codec: Codec, bytesMax: number) {
    this.#socket = socket;
    this.#codec = codec;
    this.#bytesMax = bytesMax;
  }

  /** Keeps a frame for `flush`; true: it is the first. */
  hold(frame: CoordinatorFrame): boolean {
    return this.#group.push(frame) === 1;
  }

  /** Sends what is held, as one message or a few. False: the peer reads too slowly. */
  flush(): boolean {
    const group = this.#group;
    if (group.length === 0) return true;
    this.#group = [];
    if (group.length <= BATCH_FRAMES_MAX) return this.#writeGroup(group);
    for (let index = 0; index < group.length; index += BATCH_FRAMES_MAX) {
      if (!this.#writeGroup(group.slice(index, index + BATCH_FRAMES_MAX))) return false;
    }
    return true;
  }

  /** Forgets what is held. */
  clear(): void {
    this.#group = [];
  }

  /** Sends one frame. False: the peer reads too slowly. */
  send(frame: CoordinatorFrame): boolean {
    const message = this.#encode(frame);
    if (frame.type === 'welcome') this.#welcomeBytes = message.length;
    return this.#write(message);
  }

  /** The peer has taken all. */
  drained(): void {
    this.#welcomeBytes = 0;
  }

  #writeGroup(frames: readonly CoordinatorFrame[]): boolean {
    const message = this.#encode(frames);
    if (message.length <= MESSAGE_BYTES_MAX || frames.length === 1) return this.#write(message);
    const half = frames.length >> 1;
    return this.#writeGroup(frames.slice(0, half)) && this.#writeGroup(frames.slice(half));
  }

  #encode(frames: CoordinatorFrame | readonly CoordinatorFrame[]): Uint8Array | string {
    const written = this.#codec === msgpackCodec ? writeFrames(frames) : undefined;
    return written ?? this.#codec.encode(frames);
  }

  #write(message: Uint8Array | string): boolean {
    return this.#socket.send(message) <= this.#bytesMax + this.#welcomeBytes;
  }
}
