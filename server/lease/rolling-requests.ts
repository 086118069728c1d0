/**
 * Requests of the last seven UTC days, one bucket a day. A figure that came with a pool file counts as of its import
 * and ages out with that day.
 */
const DAYS = 7;
/** A day counts no further: seven of them are still an exact integer. */
const DAY_REQUESTS_MAX = 2 ** 50;
export const DAY_MS = 86_400_000;

/** Number of the UTC day, days since 1970. */
export function utcDay(utcMs: number): number {
  return Math.floor(utcMs / DAY_MS);
}

export class RollingRequests {
  /** Invariant: `#buckets[day % 7]` counts `day` for the seven days that end with `#lastDay`. */
  readonly #buckets: number[];
  #lastDay: number;

  constructor(day: number, buckets: readonly number[] = [0, 0, 0, 0, 0, 0, 0]) {
    this.#lastDay = day;
    this.#buckets = [...buckets];
  }

  /** With a figure that counts as of `day`. */
  static starting(day: number, requests: number): RollingRequests {
    const rolling = new RollingRequests(day);
    rolling.add(day, requests);
    return rolling;
  }

  /** Counts `requests` (negative: takes them back) on `day`; below zero a day doesn't go. */
  add(day: number, requests: number): void {
    this.#turnTo(day);
    if (day <= this.#lastDay - DAYS) return;
    const index = day % DAYS;
    this.#buckets[index] = Math.min(Math.max(0, this.#buckets[index]! + requests), DAY_REQUESTS_MAX);
  }

  /** The sum as of `day`. */
  total(day: number): number {
    let sum = 0;
    for (let past = Math.max(day, this.#lastDay) - DAYS + 1; past <= this.#lastDay; past += 1) {
      sum += this.#buckets[past % DAYS]!;
    }
    return sum;
  }

  encode(): [lastDay: number, ...buckets: number[]] {
    return [this.#lastDay, ...this.#buckets];
  }

  static decode([lastDay, ...buckets]: readonly number[]): RollingRequests {
    return new RollingRequests(lastDay!, buckets);
  }

  #turnTo(day: number): void {
    for (let next = Math.max(this.#lastDay + 1, day - DAYS + 1); next <= day; next += 1) this.#buckets[next % DAYS] = 0;
    this.#lastDay = Math.max(this.#lastDay, day);
  }
}
