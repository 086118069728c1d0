import type { Lease } from './state.ts';

/** Gaps that are always tolerated, beside as many as there are leases. */
const GAPS_MIN = 16;

/**
 * The leases of one session, in the order in which they were added. What a Set would do; but that gives each object in it a
 * hash of its own, which for a million leases takes longer than to read them.
 */
export class LeaseList implements Iterable<Lease> {
  /** Invariant: a lease that is in stands at its `listPlace`; undefined: it has gone. */
  #leases: (Lease | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(lease: Lease): boolean {
    return this.#leases[lease.listPlace] === lease;
  }

  /** Of a lease that is in no list. */
  add(lease: Lease): void {
    lease.listPlace = this.#leases.length;
    this.#leases.push(lease);
    this.#size += 1;
  }

  /** Of a lease that is in. */
  delete(lease: Lease): void {
    if (!this.has(lease)) throw new Error(`lease ${lease.token} isn't one of its session`);
    this.#leases[lease.listPlace] = undefined;
    this.#size -= 1;
    if (this.#leases.length > 2 * this.#size + GAPS_MIN) this.#closeGaps();
  }

  /** Nothing may be added or deleted meanwhile. */
  *[Symbol.iterator](): Generator<Lease> {
    for (const lease of this.#leases) if (lease) yield lease;
  }

  #closeGaps(): void {
    this.#leases = [...this];
    for (const [place, lease] of this.#leases.entries()) lease!.listPlace = place;
  }
}
