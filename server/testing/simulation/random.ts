/** Numbers drawn before the first one is handed out, so that neighbouring seeds have nothing in common. */
const WARM_UP = 16;

/**
 * Chance that a seed repeats exactly: Chris Doty-Humphrey's sfc32 (from PractRand), 128 bits of state, one of them a
 * counter, so that no seed has a short cycle.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9 | 0;
    for (let drawn = 0; drawn < WARM_UP; drawn += 1) this.bits();
  }

  /** 32 of them, unsigned. */
  bits(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.bits() / 2 ** 32;
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** Between `low` and `high`, each order of magnitude as likely as the next. */
  magnitude(low: number, high: number): number {
    return low * (high / low) ** this.next();
  }

  /** Above 0, `mean` on average, now and then many times that. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  bytes(size: number): Buffer {
    const bytes = Buffer.allocUnsafe(size);
    for (let index = 0; index < size; index += 1) bytes[index] = this.bits();
    return bytes;
  }
}
