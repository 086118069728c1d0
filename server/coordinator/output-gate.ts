/** Places of outputs that have left are given back when there are so many, and more than half of all. */
const LEFT_MAX = 1_024;

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
  #queue: Output[] = [];
  #head = 0;
  #durable: number;

  constructor(durablePosition: number) {
    this.#durable = durablePosition;
  }

  get size(): number {
    return this.#queue.length - this.#head;
  }

  /** `receiver` gets `value` once `position` is durable, never within this call. */
  hold<Value>(position: number, receiver: (value: Value) => void, value: Value): void {
    this.#queue.push({ position, receiver, value });
  }

  /** Whether something waits that could leave. */
  get isReady(): boolean {
    return this.#head < this.#queue.length && this.#queue[this.#head]!.position <= this.#durable;
  }

  /** Lets everything up to `durablePosition` leave. What a receiver causes to be held meanwhile waits its turn. */
  release(durablePosition: number): void {
    this.#durable = durablePosition;
    while (this.isReady) {
      const output = this.#queue[this.#head]!;
      this.#head += 1;
      output.receiver(output.value as never);
    }
    // Under load the queue is never empty: what has left must not wait for that.
    if (this.#head === this.#queue.length || (this.#head > LEFT_MAX && this.#head * 2 > this.#queue.length)) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}
