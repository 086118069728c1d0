import type { LeaseEnd } from '../../protocol/codes.ts';
import { arrayWithRoom } from './array-with-room.ts';
import type { Holder } from './holder.ts';
import type { Lease, LeaseTerms, Revoking } from './state.ts';

// Of `flags`.
export const CLAMPED = 1;
export const SETTLED = 2;
export const BANNED = 4;

/** What a live lease starts with. */
export type LeaseFields = Omit<Lease, 'end' | 'endedAtMs'>;

/**
 * What is known of leases: a row for each, in columns of plain numbers. As objects, a million of them would take several
 * times the memory, and whoever remembers as many for minutes would keep the garbage collector busy with them.
 */
export class LeaseFieldColumns {
  tokens: Float64Array;
  resources: Float64Array;
  addressIds: Float64Array;
  requestIds: Float64Array;
  deadlinesMs: Float64Array;
  requests: Float64Array;
  ttlsMs: Int32Array;
  grantedDays: Int32Array;
  flags: Uint8Array;
  holders: Holder[];
  // What few of them have.
  readonly terms = new Map<number, LeaseTerms>();
  readonly revoking = new Map<number, Revoking>();
  readonly otherRequests = new Map<number, readonly number[]>();

  /** With room for `rows` of them. */
  constructor(rows: number) {
    this.tokens = new Float64Array(rows);
    this.resources = new Float64Array(rows);
    this.addressIds = new Float64Array(rows);
    this.requestIds = new Float64Array(rows);
    this.deadlinesMs = new Float64Array(rows);
    this.requests = new Float64Array(rows);
    this.ttlsMs = new Int32Array(rows);
    this.grantedDays = new Int32Array(rows);
    this.flags = new Uint8Array(rows);
    this.holders = arrayWithRoom(rows);
  }

  /** Into a row that says nothing of any other lease. */
  write(row: number, lease: LeaseFields): void {
    const { terms, revoking, otherRequests } = lease;
    this.tokens[row] = lease.token;
    this.resources[row] = lease.resource;
    this.addressIds[row] = lease.addressId;
    this.requestIds[row] = lease.request;
    this.deadlinesMs[row] = lease.deadlineMs;
    this.ttlsMs[row] = lease.ttlMs;
    this.grantedDays[row] = lease.grantedDay;
    this.requests[row] = lease.requests;
    this.flags[row] = (lease.clamped ? CLAMPED : 0) | (lease.settled ? SETTLED : 0) | (lease.isBanned ? BANNED : 0);
    this.holders[row] = lease.holder;
    if (terms) this.terms.set(row, terms);
    if (revoking) this.revoking.set(row, revoking);
    if (otherRequests.length > 0) this.otherRequests.set(row, otherRequests);
  }

  /** Keeps nothing of the lease in `row` but numbers, which the next one there writes over. */
  clear(row: number): void {
    // Deleted from an empty Map, too, a key costs its hash.
    if (this.terms.size > 0) this.terms.delete(row);
    if (this.revoking.size > 0) this.revoking.delete(row);
    if (this.otherRequests.size > 0) this.otherRequests.delete(row);
    this.holders[row] = NOBODY;
  }

  protected lengthen(rows: number): void {
    this.tokens = extended(this.tokens, new Float64Array(rows));
    this.resources = extended(this.resources, new Float64Array(rows));
    this.addressIds = extended(this.addressIds, new Float64Array(rows));
    this.requestIds = extended(this.requestIds, new Float64Array(rows));
    this.deadlinesMs = extended(this.deadlinesMs, new Float64Array(rows));
    this.ttlsMs = extended(this.ttlsMs, new Int32Array(rows));
    this.grantedDays = extended(this.grantedDays, new Int32Array(rows));
    this.requests = extended(this.requests, new Float64Array(rows));
    this.flags = extended(this.flags, new Uint8Array(rows));
    const holders = arrayWithRoom<Holder>(rows);
    for (let row = 0; row < this.holders.length; row += 1) holders[row] = this.holders[row]!;
    this.holders = holders;
  }
}

/** A lease that stands in columns: its row, by name. Two of the same row are the same lease, though not the same object. */
export abstract class RowLease implements Lease {
  readonly row: number;
  readonly #columns: LeaseFieldColumns;

  constructor(columns: LeaseFieldColumns, row: number) {
    this.#columns = columns;
    this.row = row;
  }

  abstract get end(): LeaseEnd | undefined;
  abstract get endedAtMs(): number | undefined;

  get token(): number {
    return this.#columns.tokens[this.row]!;
  }

  get resource(): number {
    return this.#columns.resources[this.row]!;
  }

  get addressId(): number {
    return this.#columns.addressIds[this.row]!;
  }

  get holder(): Holder {
    return this.#columns.holders[this.row]!;
  }

  get request(): number {
    return this.#columns.requestIds[this.row]!;
  }

  get otherRequests(): readonly number[] {
    const { otherRequests } = this.#columns;
    return (otherRequests.size > 0 ? otherRequests.get(this.row) : undefined) ?? NO_REQUESTS;
  }

  set otherRequests(requests: readonly number[]) {
    this.#columns.otherRequests.set(this.row, requests);
  }

  get ttlMs(): number {
    return this.#columns.ttlsMs[this.row]!;
  }

  set ttlMs(ttlMs: number) {
    this.#columns.ttlsMs[this.row] = ttlMs;
  }

  get deadlineMs(): number {
    return this.#columns.deadlinesMs[this.row]!;
  }

  set deadlineMs(deadlineMs: number) {
    this.#columns.deadlinesMs[this.row] = deadlineMs;
  }

  get grantedDay(): number {
    return this.#columns.grantedDays[this.row]!;
  }

  get terms(): LeaseTerms | undefined {
    const { terms } = this.#columns;
    return terms.size > 0 ? terms.get(this.row) : undefined;
  }

  get revoking(): Revoking | undefined {
    const { revoking } = this.#columns;
    return revoking.size > 0 ? revoking.get(this.row) : undefined;
  }

  set revoking(revoking: Revoking) {
    this.#columns.revoking.set(this.row, revoking);
  }

  get requests(): number {
    return this.#columns.requests[this.row]!;
  }

  set requests(requests: number) {
    this.#columns.requests[this.row] = requests;
  }

  get clamped(): boolean {
    return this.#is(CLAMPED);
  }

  set clamped(isClamped: boolean) {
    this.#mark(CLAMPED, isClamped);
  }

  get settled(): boolean {
    return this.#is(SETTLED);
  }

  set settled(isSettled: boolean) {
    this.#mark(SETTLED, isSettled);
  }

  get isBanned(): boolean {
    return this.#is(BANNED);
  }

  set isBanned(isBanned: boolean) {
    this.#mark(BANNED, isBanned);
  }

  #is(flag: number): boolean {
    return (this.#columns.flags[this.row]! & flag) !== 0;
  }

  #mark(flag: number, isSet: boolean): void {
    const flags = this.#columns.flags[this.row]!;
    this.#columns.flags[this.row] = isSet ? flags | flag : flags & ~flag;
  }
}

const NO_REQUESTS: readonly number[] = [];
/** What a row without a lease keeps instead of the holder that it had. */
const NOBODY: Holder = { kind: 'process' };

export function extended<Column extends Float64Array | Int32Array | Uint8Array>(
  column: Column,
  longer: Column,
): Column {
  longer.set(column);
  return longer;
}
