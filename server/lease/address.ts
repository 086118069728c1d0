import type { AddressRecord } from '../../protocol/frames.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import type { LiveLease } from './lease-rows.ts';
import type { Bans, Pair, QuarantineRecord } from './pair.ts';
import type { PoolAddress } from './resource-pool.ts';
import { RollingRequests } from './rolling-requests.ts';
import { endsAtMs } from './state.ts';
import type { Waiter } from './waiting.ts';

/** One proxy server, with what its pool record carries. */
export class Address implements PoolAddress {
  readonly id: number;
  readonly address: string;
  /** The last pool record, with the figure that its file gave as `rpw`. */
  record: AddressRecord;
  requests: RollingRequests;
  /** The state's own day, by which `rpw` counts. */
  readonly #today: { readonly day: number };
  /** Removed from the pool; stays until its last lease has ended. */
  removed = false;
  readonly #leaseRows: number[] = [];
  /** Invariant: the resource of the lease in row `#leaseRows[i]` at `2 * i`, and behind it when that lease ends. */
  readonly #ends: number[] = [];
  /** Of the last lease granted on it; 0: none. */
  lastToken = 0;
  isUnhealthy = false;
  isDraining = false;
  quarantine: QuarantineRecord | undefined;
  bans: Bans | undefined;
  /** On probation, one lease at a time, until a lease with a token above this reports `ok`. */
  probationAfter: number | undefined;
  /** Of the pairs of which there is something to say, by resource. */
  pairs: Map<number, Pair> | undefined;
  quarantinePlace = NOT_IN_HEAP;

  constructor(id: number, record: AddressRecord, today: { readonly day: number }) {
    this.id = id;
    this.address = record.address;
    this.record = record;
    this.#today = today;
    this.requests = RollingRequests.starting(today.day, record.rpw);
  }

  get country(): string {
    return this.record.country;
  }

  /** Requests of the last seven days as of the state's day. */
  get rpw(): number {
    return this.requests.total(this.#today.day);
  }

  get resourceIds(): readonly number[] {
    return this.record.resource_ids;
  }

  get labels(): Readonly<Record<string, string>> | undefined {
    return this.record['labels'] as Record<string, string> | undefined;
  }

  /** Share under `weighted`. */
  get weight(): number {
    const weight = this.record['weight'];
    return typeof weight === 'number' && weight >= 0 && weight < Infinity ? weight : 1;
  }

  get leaseCount(): number {
    return this.#leaseRows.length;
  }

  /** Of its live leases, one per resource at most. */
  get leaseRows(): readonly number[] {
    return this.#leaseRows;
  }

  /** When the first of its leases ends, or of what is reserved of it for others; undefined: nobody has it. */
  busyUntilMs(collector?: Waiter): number | undefined {
    let untilMs: number | undefined;
    for (let at = 1; at < this.#ends.length; at += 2) untilMs = Math.min(untilMs ?? Infinity, this.#ends[at]!);
    for (const { reservedFor } of this.pairs?.values() ?? []) {
      if (reservedFor && reservedFor !== collector) untilMs = Math.min(untilMs ?? Infinity, reservedFor.untilMs);
    }
    return untilMs;
  }

  isLeased(resource: number): boolean {
    return this.leasedUntilMs(resource) !== undefined;
  }

  /** When the lease that somebody has on it for `resource` ends; undefined: nobody has one. */
  leasedUntilMs(resource: number): number | undefined {
    for (let at = 0; at < this.#ends.length; at += 2) if (this.#ends[at] === resource) return this.#ends[at + 1];
    return undefined;
  }

  /** Whether all its leases are of resources that it serves. */
  servesLeased(): boolean {
    for (let at = 0; at < this.#ends.length; at += 2) if (!this.serves(this.#ends[at]!)) return false;
    return true;
  }

  addLease(lease: LiveLease): void {
    this.#leaseRows.push(lease.row);
    this.#ends.push(lease.resource, endsAtMs(lease));
  }

  /** `lease`, which is one of its own, ends at another time than before. */
  endChanged(lease: LiveLease): void {
    this.#ends[2 * this.#placeOf(lease) + 1] = endsAtMs(lease);
  }

  removeLease(lease: LiveLease): void {
    const place = this.#placeOf(lease);
    this.#leaseRows.splice(place, 1);
    this.#ends.splice(2 * place, 2);
  }

  #placeOf({ row, token }: LiveLease): number {
    const place = this.#leaseRows.indexOf(row);
    if (place < 0) throw new Error(`lease ${token} isn't one of address ${this.id}`);
    return place;
  }

  serves(resource: number): boolean {
    return !this.removed && this.record.resource_ids.includes(resource);
  }
}

export function ensurePair(address: Address, resource: number): Pair {
  address.pairs ??= new Map();
  let pair = address.pairs.get(resource);
  if (!pair) {
    pair = {
      resource,
      address,
      coolingUntilMs: undefined,
      quarantine: undefined,
      bans: undefined,
      probationAfter: undefined,
      reservedFor: undefined,
      restPlace: NOT_IN_HEAP,
    };
    address.pairs.set(resource, pair);
  }
  return pair;
}

/** The whole record as a grant carries it: `rpw` as it counts now. */
export function addressRecord(address: Address): AddressRecord {
  return { ...address.record, rpw: address.rpw };
}
