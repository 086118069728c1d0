import { COUNT_MAX, MESSAGE_BYTES_MAX, WHERE_OPERATORS_MAX } from '../../protocol/limits.ts';
import { Fifo } from '../coordinator/fifo.ts';

/** Bytes of messages that may wait for their turn; a peer that sends more is closed. */
const INBOX_BYTES_MAX = 4 * MESSAGE_BYTES_MAX;
/** Weight of a frame that looks at addresses by a condition; a plain one weighs 1. */
const CONDITION_WEIGHT = 8;
/** Weight of one operator, where they are so many: of a new condition each reads a column of the whole pool. */
const OPERATOR_WEIGHT = 2;
/** Of one that looks at all of them, as an exact explanation must: as much as a turn takes. */
const EXPLAIN_WEIGHT = 64;
/** Leases named in one frame that weigh 1 more. */
const WEIGHT_LEASES = 64;

/** What a socket has sent and what there was no room for in its turn: frames of an array, then the messages behind it. */
export class Inbox {
  readonly #messages = new Fifo<Uint8Array | string>();
  #bytes = 0;
  #frames: readonly unknown[] = [];
  #areChecked = false;
  #offset = 0;

  get isEmpty(): boolean {
    return this.#messages.size === 0 && !this.hasFrames;
  }

  get hasFrames(): boolean {
    return this.#offset < this.#frames.length;
  }

  /** Whether those frames are as the schemas have them. */
  get areChecked(): boolean {
    return this.#areChecked;
  }

  /** False: more than may wait. */
  push(message: Uint8Array | string): boolean {
    // Bytes are only lent.
    this.#messages.push(typeof message === 'string' ? message : Uint8Array.from(message));
    this.#bytes += message.length;
    return this.#bytes <= INBOX_BYTES_MAX;
  }

  /** Frames of one message, before the messages that wait. None may be left of an earlier one. */
  open(frames: readonly unknown[], areChecked: boolean): void {
    this.#frames = frames;
    this.#areChecked = areChecked;
    this.#offset = 0;
  }

  /** The next frame; `hasFrames` must hold. */
  takeFrame(): unknown {
    this.#offset += 1;
    return this.#frames[this.#offset - 1];
  }

  /** The next message, once there is no frame left; undefined: none waits. */
  takeMessage(): Uint8Array | string | undefined {
    this.open([], false);
    const message = this.#messages.take();
    if (message !== undefined) this.#bytes -= message.length;
    return message;
  }
}

/** How much of a turn a frame takes, as far as it shows before it has been checked. */
export function weightOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  const { type, where, leases, count } = value as Partial<Record<string, unknown>>;
  // Each address of a count is chosen for itself. A fraction or NaN is refused without any choosing.
  const choices = Number.isInteger(count) ? Math.min(Math.max(count as number, 1), COUNT_MAX) : 1;
  return Math.max(
    choices,
    type === 'explain' ? EXPLAIN_WEIGHT : 1,
    where === undefined ? 1 : Math.max(CONDITION_WEIGHT, OPERATOR_WEIGHT * operatorsOf(where, WHERE_OPERATORS_MAX)),
    Array.isArray(leases) ? 1 + leases.length / WEIGHT_LEASES : 1,
  );
}

/** Operators of what may be a condition, up to about `most`. The decoder has bounded how deep it nests. */
function operatorsOf(value: unknown, most: number): number {
  if (typeof value !== 'object' || value === null) return 1;
  // A list of plain values is what one operator compares with.
  if (Array.isArray(value) && typeof value[0] !== 'object') return 1;
  let operators = 0;
  for (const part of Object.values(value)) {
    operators += operatorsOf(part, most - operators);
    if (operators >= most) break;
  }
  return operators;
}
