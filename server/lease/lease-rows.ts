import type { Holder } from './holder.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import type { Lease, LeaseTerms, Revoking } from './state.ts';

const ROWS_MIN = 64;

// Of `flags`.
export const CLAMPED = 1;
export const SETTLED = 2;
export const BANNED = 4;

/** Of a lease in no list. */
export const UNLISTED = -2;
/** Of the first in a list what is before it, and of the last what is behind. */
export const NO_ROW = -1;

/** What a live lease starts with. */
export type LeaseFields = Omit<Lease, 'end' | 'endedAtMs'>;

/** Leases side by side, field by field; `flags` as `LeaseRows` keeps them. */
export interface LeaseColumns {
  readonly tokens: ArrayLike<number>;
  readonly resources: ArrayLike<number>;
  readonly addressIds: ArrayLike<number>;
  readonly requestIds: ArrayLike<number>;
  readonly ttlsMs: ArrayLike<number>;
  readonly deadlinesMs: ArrayLike<number>;
  readonly grantedDays: ArrayLike<number>;
  readonly requests: ArrayLike<number>;
  readonly flags: ArrayLike<number>;
}

/**
 * What is known of the live leases: a row for each, in columns of plain numbers. As objects, a million of them would take
 * several times the memory, and most of a start would go into making them. A row that is given up is used again; there are
 * never more than there were leases at one time, and never fewer again.
 */
export class LeaseRows {
  tokens = new Float64Array(ROWS_MIN);
  resources = new Float64Array(ROWS_MIN);
  addressIds = new Float64Array(ROWS_MIN);
  requestIds = new Float64Array(ROWS_MIN);
  deadlinesMs = new Float64Array(ROWS_MIN);
  requests = new Float64Array(ROWS_MIN);
  ttlsMs = new Int32Array(ROWS_MIN);
  grantedDays = new Int32Array(ROWS_MIN);
  flags = new Uint8Array(ROWS_MIN);
  readonly holders: Holder[] = [];
  // What few of them have.
  readonly terms = new Map<number, LeaseTerms>();
  readonly revoking = new Map<number, Revoking>();
  readonly otherRequests = new Map<number, readonly number[]>();

  // Where the indexes have them. Invariant: of a row without a lease, that none of them has it.
  expiryPlaces = new Int32Array(ROWS_MIN).fill(NOT_IN_HEAP);
  noticePlaces = new Int32Array(ROWS_MIN).fill(NOT_IN_HEAP);
  withdrawnPlaces = new Int32Array(ROWS_MIN).fill(NOT_IN_HEAP);
  /** Neighbours in the list of the lease's session. */
  before = new Int32Array(ROWS_MIN).fill(UNLISTED);
  after = new Int32Array(ROWS_MIN).fill(UNLISTED);

  readonly #free: number[] = [];
  /** Rows from here on have never been used. */
  #end = 0;

  /** For as long as the lease lives: what is read of it later may be another one's. */
  at(row: number): LiveLease {
    return new LiveLease(this, row);
  }

  add(lease: LeaseFields): LiveLease {
    const row = this.#free.pop() ?? this.#end;
    if (row === this.#end) {
      this.reserve(row + 1);
      this.#end += 1;
    }
    this.tokens[row] = lease.token;
    this.resources[row] = lease.resource;
    this.addressIds[row] = lease.addressId;
    this.requestIds[row] = lease.request;
    this.deadlinesMs[row] = lease.deadlineMs;
    this.ttlsMs[row] = lease.ttlMs;
    this.grantedDays[row] = lease.grantedDay;
    this.requests[row] = lease.requests;
    this.flags[row] = flagsOf(lease);
    this.holders[row] = lease.holder;
    if (lease.terms) this.terms.set(row, lease.terms);
    if (lease.revoking) this.revoking.set(row, lease.revoking);
    if (lease.otherRequests.length > 0) this.otherRequests.set(row, lease.otherRequests);
    return this.at(row);
  }

  /** All of `columns`, one row behind the other, the first of which is returned. Their holders are the caller's to set. */
  addAll(columns: LeaseColumns): number {
    const first = this.#end;
    const end = first + columns.tokens.length;
    this.reserve(end);
    this.tokens.set(columns.tokens, first);
    this.resources.set(columns.resources, first);
    this.addressIds.set(columns.addressIds, first);
    this.requestIds.set(columns.requestIds, first);
    this.deadlinesMs.set(columns.deadlinesMs, first);
    this.ttlsMs.set(columns.ttlsMs, first);
    this.grantedDays.set(columns.grantedDays, first);
    this.requests.set(columns.requests, first);
    this.flags.set(columns.flags, first);
    this.#end = end;
    return first;
  }

  /** Of a lease that no index has any more. */
  delete(row: number): void {
    this.terms.delete(row);
    this.revoking.delete(row);
    this.otherRequests.delete(row);
    this.holders[row] = NOBODY;
    this.#free.push(row);
  }

  /** Makes room for `rows` of them in all. */
  reserve(rows: number): void {
    if (rows <= this.tokens.length) return;
    const length = Math.max(rows, 2 * this.tokens.length);
    this.tokens = extended(this.tokens, new Float64Array(length));
    this.resources = extended(this.resources, new Float64Array(length));
    this.addressIds = extended(this.addressIds, new Float64Array(length));
    this.requestIds = extended(this.requestIds, new Float64Array(length));
    this.deadlinesMs = extended(this.deadlinesMs, new Float64Array(length));
    this.ttlsMs = extended(this.ttlsMs, new Int32Array(length));
    this.grantedDays = extended(this.grantedDays, new Int32Array(length));
    this.requests = extended(this.requests, new Float64Array(length));
    this.flags = extended(this.flags, new Uint8Array(length));
    this.expiryPlaces = extended(this.expiryPlaces, new Int32Array(length).fill(NOT_IN_HEAP));
    this.noticePlaces = extended(this.noticePlaces, new Int32Array(length).fill(NOT_IN_HEAP));
    this.withdrawnPlaces = extended(this.withdrawnPlaces, new Int32Array(length).fill(NOT_IN_HEAP));
    this.before = extended(this.before, new Int32Array(length).fill(UNLISTED));
    this.after = extended(this.after, new Int32Array(length).fill(UNLISTED));
  }
}

/** A live lease: its row, by name. Two of the same row are the same lease, though not the same object. */
export class LiveLease implements Lease {
  readonly row: number;
  readonly #rows: LeaseRows;

  constructor(rows: LeaseRows, row: number) {
    this.#rows = rows;
    this.row = row;
  }

  get token(): number {
    return this.#rows.tokens[this.row]!;
  }

  get resource(): number {
    return this.#rows.resources[this.row]!;
  }

  get addressId(): number {
    return this.#rows.addressIds[this.row]!;
  }

  get holder(): Holder {
    return this.#rows.holders[this.row]!;
  }

  get request(): number {
    return this.#rows.requestIds[this.row]!;
  }

  get otherRequests(): readonly number[] {
    return this.#rows.otherRequests.get(this.row) ?? NO_REQUESTS;
  }

  set otherRequests(requests: readonly number[]) {
    this.#rows.otherRequests.set(this.row, requests);
  }

  get ttlMs(): number {
    return this.#rows.ttlsMs[this.row]!;
  }

  set ttlMs(ttlMs: number) {
    this.#rows.ttlsMs[this.row] = ttlMs;
  }

  get deadlineMs(): number {
    return this.#rows.deadlinesMs[this.row]!;
  }

  set deadlineMs(deadlineMs: number) {
    this.#rows.deadlinesMs[this.row] = deadlineMs;
  }

  get grantedDay(): number {
    return this.#rows.grantedDays[this.row]!;
  }

  get terms(): LeaseTerms | undefined {
    return this.#rows.terms.get(this.row);
  }

  get revoking(): Revoking | undefined {
    return this.#rows.revoking.get(this.row);
  }

  set revoking(revoking: Revoking) {
    this.#rows.revoking.set(this.row, revoking);
  }

  get requests(): number {
    return this.#rows.requests[this.row]!;
  }

  set requests(requests: number) {
    this.#rows.requests[this.row] = requests;
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

  get end(): undefined {
    return undefined;
  }

  get endedAtMs(): undefined {
    return undefined;
  }

  #is(flag: number): boolean {
    return (this.#rows.flags[this.row]! & flag) !== 0;
  }

  #mark(flag: number, isSet: boolean): void {
    const flags = this.#rows.flags[this.row]!;
    this.#rows.flags[this.row] = isSet ? flags | flag : flags & ~flag;
  }
}

const NO_REQUESTS: readonly number[] = [];
/** What a row without a lease keeps instead of the holder that it had. */
const NOBODY: Holder = { kind: 'process' };

function flagsOf({ clamped, settled, isBanned }: LeaseFields): number {
  return (clamped ? CLAMPED : 0) | (settled ? SETTLED : 0) | (isBanned ? BANNED : 0);
}

function extended<Column extends Float64Array | Int32Array | Uint8Array>(column: Column, longer: Column): Column {
  longer.set(column);
  return longer;
}
