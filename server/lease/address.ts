import type { AddressRecord } from '../../protocol/frames.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import { type LeaseRows, type LiveLease, NO_ROW } from './lease-rows.ts';
import type { Bans, Pair, QuarantineRecord } from './pair.ts';
import type { PoolAddress } from './resource-pool.ts';
import { RollingRequests } from './rolling-requests.ts';
import { endsAtMs } from './state.ts';
import type { Waiter } from './waiting.ts';

// Of a lease among `#others`: where its fields stand, and how many they are.
const ROW = 0;
const RESOURCE = 1;
const ENDS = 2;
const FIELDS = 3;

/** Where the list of others is made that an address then has in its length. */
const gathered: number[] = [];

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
  // Row, resource and end of its first lease: as a rule it has no other, and lists would be most of what a grant costs.
  /** NO_ROW: it has none. */
  #row = NO_ROW;
  #resource = 0;
  #endsAtMs = Infinity;
  /** Of the others in their order, row, resource and end one behind the other; undefined: there are none. */
  #others: number[] | undefined;
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
    return this.#row === NO_ROW ? 0 : 1 + (this.#others ? this.#others.length / FIELDS : 0);
  }

  /** Of its live leases, one per resource at most. */
  get leaseRows(): readonly number[] {
    if (this.#row === NO_ROW) return [];
    const others = this.#others ?? [];
    return [this.#row, ...others.filter((_, at) => at % FIELDS === ROW)];
  }

  /** When the first of its leases ends, or of what is reserved of it for others; undefined: nobody has it. */
  busyUntilMs(collector?: Waiter): number | undefined {
    let untilMs = this.#row === NO_ROW ? undefined : this.#endsAtMs;
    if (this.#others) {
      for (let at = 0; at < this.#others.length; at += FIELDS) untilMs = Math.min(untilMs!, this.#others[at + ENDS]!);
    }
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
    if (this.#row !== NO_ROW && this.#resource === resource) return this.#endsAtMs;
    if (!this.#others) return undefined;
    for (let at = 0; at < this.#others.length; at += FIELDS) {
      if (this.#others[at + RESOURCE] === resource) return this.#others[at + ENDS];
    }
    return undefined;
  }

  /** `visit` is told of which resource each of its leases is, and when it ends. */
  visitLeases(visit: (resource: number, untilMs: number) => void): void {
    if (this.#row !== NO_ROW) visit(this.#resource, this.#endsAtMs);
    if (!this.#others) return;
    for (let at = 0; at < this.#others.length; at += FIELDS) {
      visit(this.#others[at + RESOURCE]!, this.#others[at + ENDS]!);
    }
  }

  addLease(lease: LiveLease): void {
    if (this.#row === NO_ROW) this.#setFirst(lease.row, lease.resource, endsAtMs(lease));
    else {
      this.#others ??= [];
      this.#others.push(lease.row, lease.resource, endsAtMs(lease));
    }
  }

  /** Where it has none: those in `rows` from `first` up to `end`. A list that grew with them would be copied over and over. */
  setLeases(rows: LeaseRows, first: number, end: number): void {
    if (this.#row !== NO_ROW) throw new Error(`address ${this.id} has leases already`);
    if (first === end) return;
    this.#setFirst(first, rows.resources[first]!, rows.endsAtMs(first));
    if (first + 1 === end) return;
    let length = 0;
    for (let row = first + 1; row < end; row += 1) {
      gathered[length + ROW] = row;
      gathered[length + RESOURCE] = rows.resources[row]!;
      gathered[length + ENDS] = rows.endsAtMs(row);
      length += FIELDS;
    }
    this.#others = gathered.slice(0, length);
  }

  /** `lease`, which is one of its own, ends at another time than before. */
  endChanged(lease: LiveLease): void {
    if (lease.row === this.#row) this.#endsAtMs = endsAtMs(lease);
    else this.#others![this.#placeOf(lease) + ENDS] = endsAtMs(lease);
  }

  removeLease(lease: LiveLease): void {
    if (lease.row !== this.#row) this.#others!.splice(this.#placeOf(lease), FIELDS);
    else if (this.#others) {
      const [row, resource, untilMs] = this.#others.splice(0, FIELDS);
      this.#setFirst(row!, resource!, untilMs!);
    } else this.#row = NO_ROW;
    if (this.#others?.length === 0) this.#others = undefined;
  }

  #setFirst(row: number, resource: number, untilMs: number): void {
    this.#row = row;
    this.#resource = resource;
    this.#endsAtMs = untilMs;
  }

  /** Among the others. */
  #placeOf({ row, token }: LiveLease): number {
    const { length } = this.#others ?? [];
    for (let at = 0; at < length; at += FIELDS) if (this.#others![at] === row) return at;
    throw new Error(`lease ${token} isn't one of address ${this.id}`);
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
