import { MESSAGE_BYTES_MAX } from '../../protocol/limits.ts';
import { Fifo } from '../coordinator/fifo.ts';

/** Bytes of messages that may wait for their turn; a peer that sends more is closed. */
const INBOX_BYTES_MAX = 4 * MESSAGE_BYTES_MAX;
/** Weight of a frame that looks at addresses by a condition; a plain one weighs 1. */
const CONDITION_WEIGHT = 8;
/** Of one that looks at all of them, as an exact explanation must: as much as a turn takes. */
const EXPLAIN_WEIGHT = 64;
/** Leases named in one frame that weigh 1 more. */
const WEIGHT_LEASES = 64;

/** What a socket has sent and what there was no room for in its turn: frames of an array, then the messages behind it. */
export class Inbox {
  #messages = new Fifo<Uint8Array | string>();
  #bytes = 0;
  #frames: readonly unknown[] = [];
  #offset = 0;

  get isEmpty(): boolean {
    return this.#messages.size === 0 && this.#offset === this.#frames.length;
  }

  /** False: more than may wait. */
  push(message: Uint8Array | string): boolean {
    // The transport takes its buffer back.
    this.#messages.push(typeof message === 'string' ? message : Uint8Array.from(message));
    this.#bytes += message.length;
    return this.#bytes <= INBOX_BYTES_MAX;
  }

  /** Frames of one message, before the messages that wait. None may be left of an earlier one. */
  open(frames: readonly unknown[]): void {
    this.#frames = frames;
    this.#offset = 0;
  }

  next(): { readonly frame: unknown } | { readonly message: Uint8Array | string } | undefined {
    if (this.#offset < this.#frames.length) {
      this.#offset += 1;
      return { frame: this.#frames[this.#offset - 1] };
    }
    this.open([]);
    const message = this.#messages.take();
    if (message === undefined) return undefined;
    this.#bytes -= message.length;
    return { message };
  }

  clear(): void {
    this.open([]);
    this.#messages = new Fifo();
    this.#bytes = 0;
  }
}

/** How much of a turn a frame takes, as far as it shows before it has been checked. */
export function weightOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  const { type, where, leases } = value as { type?: unknown; where?: unknown; leases?: unknown };
  if (type === 'explain') return EXPLAIN_WEIGHT;
  if (where !== undefined) return CONDITION_WEIGHT;
  return Array.isArray(leases) ? 1 + leases.length / WEIGHT_LEASES : 1;
}
