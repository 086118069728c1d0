import { Fifo } from './fifo.ts';

interface Output {
  readonly position: number;
  readonly receiver: (value: never) => void;
  readonly value: unknown;
}

/**
 * Holds every answer and notice back until the highest position that its decision saw is durable.
 *
 * Invariant: outputs leave in the order in which they were decided. Positions never fall, so one queue is enough.
 */
export class OutputGate {
  readonly #queue = new Fifo<Output>();
  #durable: number;

  constructor(durablePosition: number) {
    this.#durable = durablePosition;
  }

  get size(): number {
    return this.#queue.size;
  }

  /** `receiver` gets `value` once `position` is durable, never within this call. */
  hold<Value>(position: number, receiver: (value: Value) => void, value: Value): void {
    this.#queue.push({ position, receiver, value });
  }

  /** Whether something waits that could leave. */
  get #isReady(): boolean {
    const first = this.#queue.peek();
    return first !== undefined && first.position <= this.#durable;
  }

  /** Lets everything up to `durablePosition` leave, and says how much that was. What a receiver causes to be held meanwhile waits its turn. */
  release(durablePosition: number): number {
    this.#durable = durablePosition;
    let left = 0;
    for (; this.#isReady; left += 1) {
      const { receiver, value } = this.#queue.take()!;
      receiver(value as never);
    }
    return left;
  }
}
