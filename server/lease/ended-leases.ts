import type { LeaseEnd } from '../../protocol/codes.ts';
import type { LeaseFields } from './lease-rows.ts';
import type { EndedLease } from './state.ts';

/** Ended leases that are remembered, for a late report and a second release: so many at most … */
export const ENDED_LEASES_MAX = 100_000;
/** … and so long at most. */
export const ENDED_LEASES_MS = 600_000;

/** Leases in the order of their ends; the oldest are forgotten by number and by age. */
export class EndedLeases implements Iterable<EndedLease> {
  readonly #byToken = new Map<number, EndedLease>();
  /** A ring, since a Map is slow at forgetting its oldest. Invariant: `#count` leases from `#first` on. */
  readonly #ring: (EndedLease | undefined)[] = [];
  #first = 0;
  #count = 0;

  get size(): number {
    return this.#count;
  }

  get(token: number): EndedLease | undefined {
    return this.#byToken.get(token);
  }

  /** Takes in a lease that has just ended, and forgets what is too old by its `endedAtMs`. */
  add(lease: EndedLease): void {
    if (this.#count === ENDED_LEASES_MAX) this.#forgetOldest();
    this.#ring[(this.#first + this.#count) % ENDED_LEASES_MAX] = lease;
    this.#count += 1;
    this.#byToken.set(lease.token, lease);
    while (this.#ring[this.#first]!.endedAtMs <= lease.endedAtMs - ENDED_LEASES_MS) this.#forgetOldest();
  }

  *[Symbol.iterator](): Generator<EndedLease> {
    for (let index = 0; index < this.#count; index += 1) yield this.#ring[(this.#first + index) % ENDED_LEASES_MAX]!;
  }

  #forgetOldest(): void {
    this.#byToken.delete(this.#ring[this.#first]!.token);
    this.#ring[this.#first] = undefined;
    this.#first = (this.#first + 1) % ENDED_LEASES_MAX;
    this.#count -= 1;
  }
}

/** What there is to remember of `lease`, which ends. */
export function endedLease(lease: LeaseFields, end: LeaseEnd, endedAtMs: number): EndedLease {
  return {
    token: lease.token,
    resource: lease.resource,
    addressId: lease.addressId,
    holder: lease.holder,
    request: lease.request,
    otherRequests: lease.otherRequests,
    ttlMs: lease.ttlMs,
    clamped: lease.clamped,
    deadlineMs: lease.deadlineMs,
    grantedDay: lease.grantedDay,
    terms: lease.terms,
    revoking: lease.revoking,
    isBanned: lease.isBanned,
    requests: lease.requests,
    settled: lease.settled,
    end,
    endedAtMs,
  };
}
