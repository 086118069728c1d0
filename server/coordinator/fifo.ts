/** Places that were left at the front are given back when there are so many, and they are more than half of all. */
const LEFT_MAX = 1_024;

/** A queue from which taking costs the same however long it is; `Array.shift` moves everything that is behind. */
export class Fifo<Item> {
  #items: (Item | undefined)[] = [];
  /** Invariant: what is before it has been taken, and is held on to no more. */
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** The oldest, which stays. */
  peek(): Item | undefined {
    return this.#items[this.#head];
  }

  /** The oldest, taken out. */
  take(): Item | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length || (this.#head > LEFT_MAX && this.#head * 2 > this.#items.length)) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
