import type { Lease } from './state.ts';

/** Ended leases that are remembered, for a late report and a second release: so many at most … */
export const ENDED_LEASES_MAX = 100_000;
/** … and so long at most. */
export const ENDED_LEASES_MS = 600_000;

/** Leases in the order of their ends; the oldest are forgotten by number and by age. */
export class EndedLeases implements Iterable<Lease> {
  readonly #byToken = new Map<number, Lease>();
  /** A ring, since a Map is slow at forgetting its oldest. Invariant: `#count` leases from `#first` on. */
  readonly #ring: (Lease | undefined)[] = [];
  #first = 0;
  #count = 0;

  get size(): number {
    return this.#count;
  }

  get(token: number): Lease | undefined {
    return this.#byToken.get(token);
  }

  /** Takes in a lease that has just ended, and forgets what is too old by its `endedAtMs`. */
  add(lease: Lease): void {
    if (this.#count === ENDED_LEASES_MAX) this.#forgetOldest();
    this.#ring[(this.#first + this.#count) % ENDED_LEASES_MAX] = lease;
    this.#count += 1;
    this.#byToken.set(lease.token, lease);
    while (this.#ring[this.#first]!.endedAtMs <= lease.endedAtMs - ENDED_LEASES_MS) this.#forgetOldest();
  }

  *[Symbol.iterator](): Generator<Lease> {
    for (let index = 0; index < this.#count; index += 1) yield this.#ring[(this.#first + index) % ENDED_LEASES_MAX]!;
  }

  #forgetOldest(): void {
    this.#byToken.delete(this.#ring[this.#first]!.token);
    this.#ring[this.#first] = undefined;
    this.#first = (this.#first + 1) % ENDED_LEASES_MAX;
    this.#count -= 1;
  }
}
