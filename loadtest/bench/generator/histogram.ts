import type { Latencies } from './task.ts';

/** Each power of two has so many buckets: a figure is off by 1.6 % at most. */
const STEPS_BITS = 6;
const STEPS = 1 << STEPS_BITS;
/** Beyond half an hour all is one. */
const MICROSECONDS_MAX = 2 ** 31 - 1;
const BUCKETS = (32 - STEPS_BITS + 1) * STEPS;

/** Counts durations in buckets whose width grows with them. Recording allocates nothing. */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  get total(): number {
    return this.#total;
  }

  record(ms: number): void {
    const microseconds = Math.min(ms * 1_000, MICROSECONDS_MAX) | 0;
    const shift = Math.max(0, 32 - Math.clz32(microseconds) - STEPS_BITS - 1);
    this.#counts[shift * STEPS + (microseconds >>> shift)]! += 1;
    this.#total += 1;
  }

  add(other: Histogram): void {
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) this.#counts[bucket]! += other.#counts[bucket]!;
    this.#total += other.#total;
  }

  /** Not a number where nothing was recorded. */
  latencies(): Latencies {
    return { p50: this.#at(0.5), p90: this.#at(0.9), p99: this.#at(0.99), p999: this.#at(0.999) };
  }

  #at(share: number): number {
    let left = Math.ceil(this.#total * share);
    if (left === 0) return Number.NaN;
    for (let bucket = 0; ; bucket += 1) {
      left -= this.#counts[bucket]!;
      if (left <= 0) return middleMicroseconds(bucket) / 1_000;
    }
  }
}

/** A bucket of shift s holds values of s = 0: 0 to 2 × STEPS, otherwise the upper half of these, times 2 ** s. */
function middleMicroseconds(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / STEPS) - 1);
  return (bucket - shift * STEPS + 0.5) * 2 ** shift;
}
